import { CodedError, messageOf } from '../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../core/strict-json.ts';

export class SignedJsonError extends CodedError<'signed-json-invalid'> {
  constructor(message: string, options?: { cause?: unknown }) {
    super('signed-json-invalid', message, options);
  }
}

const ASCII_DOCUMENT = /^[\x20-\x7e\n\r\t]*$/;
const STRINGS = /"(?:[^"\\]|\\.)*"/g;

/**
 * JSON that two very different readers, this one and `jq` in the agent, must read alike: strict JSON in
 * printable ASCII, numbers spelled as plain integers, no escapes but `\"` and `\\`. White space and the
 * order of keys are the only freedom left, and the canonical form removes both.
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
  if (text.replace(/\\["\\]/g, '').includes('\\'))
    throw new SignedJsonError('a string uses an escape other than \\" and \\\\');
  if (!isJsonObject(value)) throw new SignedJsonError('the document is not a JSON object');
  return value;
}

function parseStrict(text: string, maxBytes: number) {
  try {
    return parseStrictJson(text, { maxBytes, maxDepth: 12 });
  } catch (cause) {
    throw new SignedJsonError(messageOf(cause), { cause });
  }
}
