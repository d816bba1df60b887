import { TpmFormatError } from './errors.ts';

/** Big-endian writers for TPM structures: `concatBytes(u16(…), sized(…))` mirrors the tables of Part 2. */
export function u8(value: number): Uint8Array {
  return Uint8Array.of(inRange(value, 0xff));
}

export function u16(value: number): Uint8Array {
  const out = new Uint8Array(2);
  new DataView(out.buffer).setUint16(0, inRange(value, 0xffff));
  return out;
}

export function u32(value: number): Uint8Array {
  const out = new Uint8Array(4);
  new DataView(out.buffer).setUint32(0, inRange(value, 0xffff_ffff));
  return out;
}

export function u64(value: bigint): Uint8Array {
  if (value < 0n || value >= 1n << 64n) throw new TpmFormatError('invalid-value', `${value} is not a UINT64`);
  const out = new Uint8Array(8);
  new DataView(out.buffer).setBigUint64(0, value);
  return out;
}

/** A TPM2B: 16-bit size, then the bytes. */
export function sized(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(2 + bytes.length);
  out.set(u16(bytes.length));
  out.set(bytes, 2);
  return out;
}

function inRange(value: number, max: number): number {
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new TpmFormatError('invalid-value', `${value} is not between 0 and ${max}`);
  return value;
}
