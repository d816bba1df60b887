import { Readable } from 'node:stream';
import { SLICE_BYTES } from './verified-slices.ts';

export interface SliceStreamOptions {
  /** Inclusive, within the artifact. */
  first: number;
  last: number;
  read: (number: number) => Promise<Buffer>;
  close: () => Promise<void>;
  /** Told of bytes that go out. */
  count?: (bytes: number) => void;
}

/**
 * The bytes from `first` to `last`, slice by slice, as fast as the connection takes them: one slice is
 * being sent and at most one waits, per download. A slice that cannot be read destroys the stream, and
 * with it the connection, so that a client never takes a part for the whole.
 */
export class SliceStream extends Readable {
  private readonly options: SliceStreamOptions;
  private position: number;

  constructor(options: SliceStreamOptions) {
    super({ highWaterMark: 1 });
    this.options = options;
    this.position = options.first;
  }

  override _read(): void {
    const { last, read } = this.options;
    if (this.position > last) {
      this.push(null);
      return;
    }
    read(Math.floor(this.position / SLICE_BYTES)).then(
      (slice) => this.pushPart(slice),
      (cause: Error) => this.destroy(cause),
    );
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.options.close().then(
      () => callback(error),
      (cause: Error) => callback(error ?? cause),
    );
  }

  private pushPart(slice: Buffer): void {
    if (this.destroyed) return;
    const sliceStart = this.position - (this.position % SLICE_BYTES);
    const part = slice.subarray(this.position - sliceStart, this.options.last + 1 - sliceStart);
    this.position += part.length;
    this.options.count?.(part.length);
    this.push(part);
  }
}
