import { fromHex, toBase64 } from '../../core/bytes.ts';
import { CodedError } from '../../core/errors.ts';
import { isJsonObject, type JsonObject } from '../../core/strict-json.ts';

// One member of a JSON document at a time; each throws an EvidenceFieldError that names it.

export class EvidenceFieldError extends CodedError<'field-invalid'> {
  constructor(field: string, expected: string) {
    super('field-invalid', `"${field}": expected ${expected}`);
  }
}

/** No TPM structure is nearly this long. */
const MAX_HEX_DIGITS = 16_384;
const MAX_UINT32 = 0xffff_ffff;
const MAX_UINT64 = (1n << 64n) - 1n;
const DECIMAL = /^(?:0|[1-9][0-9]{0,19})$/;

export function requireFields(
  from: JsonObject,
  where: string,
  { required, optional = [] }: { required: readonly string[]; optional?: readonly string[] },
): void {
  const missing = required.find((field) => from[field] === undefined);
  if (missing !== undefined) throw new EvidenceFieldError(missing, `it to be there in ${where}`);
  const unknown = Object.keys(from).find((field) => !required.includes(field) && !optional.includes(field));
  if (unknown !== undefined) throw new EvidenceFieldError(unknown.slice(0, 40), `no such field in ${where}`);
}

export function object(from: JsonObject, field: string): JsonObject {
  const value = from[field];
  if (!isJsonObject(value)) throw new EvidenceFieldError(field, 'an object');
  return value;
}

export function hex(from: JsonObject, field: string): Uint8Array {
  const value = from[field];
  if (typeof value !== 'string' || value.length > MAX_HEX_DIGITS)
    throw new EvidenceFieldError(field, `lower-case hex, at most ${MAX_HEX_DIGITS} digits`);
  return fromHex(value);
}

/** Logs have megabytes: one way there and one way back say without a pattern that the spelling is canonical. */
export function base64(from: JsonObject, field: string): Uint8Array {
  const value = from[field];
  const bytes = typeof value === 'string' ? Buffer.from(value, 'base64') : undefined;
  if (bytes === undefined || toBase64(bytes) !== value)
    throw new EvidenceFieldError(field, 'canonical base64 with padding');
  return bytes;
}

export function uint32(from: JsonObject, field: string): number {
  const value = from[field];
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > MAX_UINT32)
    throw new EvidenceFieldError(field, 'an unsigned 32-bit integer');
  return value;
}

/** 2^53 - 1 has sixteen digits, which come as digits in a string. */
export function metadataVersion(from: JsonObject, field: string): number {
  const value = uint64(from, field);
  if (value < 1n || value > BigInt(Number.MAX_SAFE_INTEGER))
    throw new EvidenceFieldError(field, 'a version from 1 to 2^53 - 1');
  return Number(value);
}

/** An integer, or its decimal digits in a string: writers whose numbers end at 2^53 can say all 64 bits. */
export function uint64(from: JsonObject, field: string): bigint {
  const value = from[field];
  const digits = typeof value === 'number' ? String(value) : value;
  const number = typeof digits === 'string' && DECIMAL.test(digits) ? BigInt(digits) : undefined;
  if (number === undefined || number > MAX_UINT64)
    throw new EvidenceFieldError(field, 'an unsigned 64-bit integer');
  return number;
}
