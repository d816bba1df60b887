import { BackupError } from './backup-error.ts';

/** Takes a stream of chunks apart by lengths and lines; what is missing is a damaged backup. */
export class ByteReader {
  private readonly chunks: AsyncIterator<Buffer>;
  private rest: Buffer = Buffer.alloc(0);

  constructor(source: AsyncIterable<Buffer>) {
    this.chunks = source[Symbol.asyncIterator]();
  }

  /** Without its line end. */
  async line(maxBytes: number): Promise<Buffer> {
    for (;;) {
      const end = this.rest.indexOf(0x0a);
      if (end > maxBytes || (end < 0 && this.rest.length > maxBytes)) damaged('a line is too long');
      if (end >= 0) return this.take(end + 1).subarray(0, end);
      if (!(await this.fill())) damaged('it ends in the middle of a line');
    }
  }

  async *bytes(length: number): AsyncGenerator<Buffer> {
    for (let left = length; left > 0; ) {
      if (this.rest.length === 0 && !(await this.fill())) damaged('it is cut short');
      const chunk = this.take(Math.min(left, this.rest.length));
      left -= chunk.length;
      yield chunk;
    }
  }

  /** At most this many: fewer only at the end. */
  async upTo(length: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = length; left > 0; ) {
      if (this.rest.length === 0 && !(await this.fill())) break;
      const chunk = this.take(Math.min(left, this.rest.length));
      parts.push(chunk);
      left -= chunk.length;
    }
    return Buffer.concat(parts);
  }

  async isAtEnd(): Promise<boolean> {
    return this.rest.length === 0 && !(await this.fill());
  }

  private take(length: number): Buffer {
    const taken = this.rest.subarray(0, length);
    this.rest = this.rest.subarray(length);
    return taken;
  }

  private async fill(): Promise<boolean> {
    for (;;) {
      const next = await this.chunks.next();
      if (next.done) return false;
      if (next.value.length === 0) continue;
      this.rest = this.rest.length === 0 ? next.value : Buffer.concat([this.rest, next.value]);
      return true;
    }
  }
}

export function damaged(detail: string): never {
  throw new BackupError('backup-damaged', `the backup is damaged: ${detail}`);
}
