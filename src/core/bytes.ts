import { createHash, timingSafeEqual } from 'node:crypto';
import { CodedError } from './errors.ts';

export class EncodingError extends CodedError<'encoding-invalid'> {
  constructor(message: string) {
    super('encoding-invalid', message);
  }
}

const HEX = /^(?:[0-9a-f]{2})*$/;

export const EMPTY = new Uint8Array(0);

export function toHex(bytes: Uint8Array): string {
  return bytes.toHex();
}

/** Lower-case hex only, even length, nothing else: one value has one spelling. */
export function fromHex(text: string): Uint8Array {
  if (!HEX.test(text)) throw new EncodingError('expected lower-case hex digits, an even number of them');
  return Buffer.from(text, 'hex');
}

export function toBase64(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64');
}

/** RFC 4648 section 4 with padding and zero pad bits: one value has one spelling. */
export function fromBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new EncodingError('expected canonical base64 with padding');
  return bytes;
}

export function toBase64Url(bytes: Uint8Array): string {
  return viewOf(bytes).toString('base64url');
}

/** RFC 4648 section 5 without padding and with zero pad bits: one value has one spelling. */
export function fromBase64Url(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text)
    throw new EncodingError('expected canonical base64url without padding');
  return bytes;
}

export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}

/** Constant-time for equal lengths; lengths themselves are never secret here. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

export function asciiBytes(text: string): Uint8Array {
  return Buffer.from(text, 'latin1');
}

export function utf8Bytes(text: string): Uint8Array {
  return Buffer.from(text, 'utf8');
}

function viewOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
