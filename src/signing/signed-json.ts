import { CodedError, messageOf } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue, parseStrictJson } from '../core/strict-json.ts';

export class SignedJsonError extends CodedError<'signed-json-invalid'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('signed-json-invalid', message, options);
  }
}

const ASCII_DOCUMENT = /^[\x20-\x7e\n\r\t]*$/;
const PEM_START = '-----BEGIN PUBLIC KEY-----\n';
const STRINGS = /"(?:[^"\\]|\\.)*"/g;

/**
 * JSON that two very different readers, this one and `jq` in the agent, must read alike: strict JSON in
 * printable ASCII, numbers spelled as plain integers, no escapes but `\"` and `\\`. White space and the
 * order of keys are the only freedom left, and the canonical form removes both. One exception: a public key
 * in PEM has lines. A document that holds one has no `\\`, so that every `\n` in jq's output is a line's end.
 *
 * @throws {SignedJsonError}
 */
export function parseSignedJson(bytes: Uint8Array, maxBytes: number): JsonObject {
  if (bytes.length > maxBytes)
    throw new SignedJsonError(`the document has ${bytes.length} bytes, at most ${maxBytes} are read`);
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  if (!ASCII_DOCUMENT.test(text)) throw new SignedJsonError('the document is not printable ASCII');
  const value = parseStrict(text, maxBytes);
  if (/\d[.eE]/.test(text.replace(STRINGS, '""')))
    throw new SignedJsonError('a number is not spelled as a plain integer');
  if (!isJsonObject(value)) throw new SignedJsonError('the document is not a JSON object');
  requireEscapes(text, hasLines(value));
  return value;
}

function requireEscapes(text: string, withLines: boolean): void {
  const allowed = withLines ? /\\["n]/g : /\\["\\]/g;
  if (text.replace(allowed, '').includes('\\'))
    throw new SignedJsonError(`a string uses an escape other than \\" and ${withLines ? '\\n' : '\\\\'}`);
}

/** Whether there is a public key in PEM. A line's end anywhere else is refused. */
function hasLines(value: JsonValue, member = ''): boolean {
  if (typeof value === 'string') return isWithLines(value, member);
  if (Array.isArray(value)) return value.filter((item) => hasLines(item)).length > 0;
  if (!isJsonObject(value)) return false;
  const names = Object.keys(value);
  if (names.some((name) => name.includes('\n'))) refuseLine();
  return names.filter((name) => hasLines(value[name] ?? null, name)).length > 0;
}

function isWithLines(text: string, member: string): boolean {
  if (!text.includes('\n')) return false;
  return (member === 'public' && text.startsWith(PEM_START)) || refuseLine();
}

function refuseLine(): never {
  throw new SignedJsonError('a text other than a public key in PEM has several lines');
}

function parseStrict(text: string, maxBytes: number) {
  try {
    return parseStrictJson(text, { maxBytes, maxDepth: 12 });
  } catch (cause) {
    throw new SignedJsonError(messageOf(cause), { cause });
  }
}
