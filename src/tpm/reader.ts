import { TpmFormatError } from './errors.ts';

/**
 * Reads a structure front to back; every read is checked against what is really there, so a length of
 * 4 GiB in a 40-byte buffer costs nothing. TPM structures are big-endian (Part 1, section 7.8), TCG
 * event logs little-endian (PC Client PFP, section 10.1). Byte strings come back as views, not copies.
 */
export class StructureReader {
  private offset = 0;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly littleEndian: boolean;
  private readonly structure: string;

  constructor(bytes: Uint8Array, structure: string, endianness: 'big' | 'little' = 'big') {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.littleEndian = endianness === 'little';
    this.structure = structure;
  }

  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  u8(): number {
    return this.view.getUint8(this.take(1));
  }

  u16(): number {
    return this.view.getUint16(this.take(2), this.littleEndian);
  }

  u32(): number {
    return this.view.getUint32(this.take(4), this.littleEndian);
  }

  u64(): bigint {
    return this.view.getBigUint64(this.take(8), this.littleEndian);
  }

  private take(byteLength: number): number {
    const start = this.offset;
    if (byteLength > this.remaining)
      throw new TpmFormatError(
        'truncated',
        `${this.structure}: ${byteLength} bytes wanted at offset ${start}, ${this.remaining} left`,
      );
    this.offset = start + byteLength;
    return start;
  }

  fixed(byteLength: number): Uint8Array {
    const start = this.take(byteLength);
    return this.bytes.subarray(start, this.offset);
  }

  skip(byteLength: number): void {
    this.take(byteLength);
  }

  /** A TPM2B: 16-bit size, then that many bytes, at most `maxBytes`. */
  sized(maxBytes: number): Uint8Array {
    const size = this.u16();
    if (size > maxBytes)
      throw new TpmFormatError('too-long', `${this.structure}: TPM2B of ${size} bytes, at most ${maxBytes}`);
    return this.fixed(size);
  }

  invalid(what: string): never {
    throw new TpmFormatError('invalid-value', `${this.structure}: ${what}`);
  }

  unsupported(what: string): never {
    throw new TpmFormatError('unsupported', `${this.structure}: ${what}`);
  }

  end(): void {
    if (this.remaining !== 0)
      throw new TpmFormatError('trailing-bytes', `${this.structure}: ${this.remaining} bytes too many`);
  }
}

/** Runs one parser over the whole of `bytes`: nothing may be left over. */
export function parseWhole<T>(bytes: Uint8Array, structure: string, read: (reader: StructureReader) => T): T {
  const reader = new StructureReader(bytes, structure);
  const value = read(reader);
  reader.end();
  return value;
}
