import { CodedError, messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { Refusal } from '../reasons.ts';

export const EVIDENCE_FORMAT = 'bootward-evidence-v1';

/** An event log at its own limit, in base64, and everything else many times over. */
export const MAX_EVIDENCE_BYTES = 24 * 1024 * 1024;

/** Not an evidence file at all: not JSON, not an object, or of another format. */
export class NotEvidenceError extends CodedError<'evidence-unreadable'> {
  constructor(message: string, options?: ErrorOptions) {
    super('evidence-unreadable', message, options);
  }
}

/**
 * A real document has a few thousand characters outside its strings, a few hundred strings and no escape. A
 * hostile one is millions of empty objects, one number of a million digits, or nothing but backslashes.
 */
const MAX_OUTSIDE_STRINGS = 256 * 1024;
const MAX_STRINGS = 8192;
const MAX_ESCAPES = 8192;
const MAX_DEPTH = 8;
/** UINT64 fields do not fit a double: integers of 16 digits or more are read as decimal strings. */
const LARGE_INTEGER = /(?<![\d.eE+-])[1-9]\d{15,19}(?![\d.eE])/g;
const JSON_SPACES: readonly number[] = [0x20, 0x09, 0x0a, 0x0d];
const OPENING_BRACE = 0x7b;
const FORMAT_FIELD = new RegExp(`"format"\\s*:\\s*"${EVIDENCE_FORMAT}"`);

/**
 * How much of a longer document a reader should pass on: enough to see whether it is evidence at all, for
 * a writer that sorts its fields names the format after the event log.
 */
export const MAX_OVERSIZED_BYTES = 4 * MAX_EVIDENCE_BYTES;

/**
 * The document as an object. Bytes, then structure are bounded before anything is built from them.
 *
 * @throws {NotEvidenceError}
 * @throws {Refusal} `evidence-too-large`, or `evidence-malformed` for an evidence file that is not strict JSON
 */
export function parseEvidenceJson(input: Uint8Array | string): JsonObject {
  if (input.length > MAX_EVIDENCE_BYTES) return refuseOversizedBytes(input);
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  const rewritten = quoteLargeIntegers(text);
  if (rewritten === undefined) return refuseOversized(text);
  const document = parseObject(text, rewritten);
  if (document.format !== EVIDENCE_FORMAT)
    throw new NotEvidenceError(`expected an object with "format": "${EVIDENCE_FORMAT}"`);
  return document;
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new NotEvidenceError('not valid UTF-8');
  }
}

/** Walks from string to string and touches only what is outside; undefined when it is past a bound. */
function quoteLargeIntegers(text: string): string | undefined {
  const parts: string[] = [];
  let outsideLength = 0;
  let escapes = 0;
  for (let position = 0; position < text.length; ) {
    const quote = text.indexOf('"', position);
    const outside = text.slice(position, quote === -1 ? text.length : quote);
    outsideLength += outside.length;
    if (outsideLength > MAX_OUTSIDE_STRINGS || parts.length > 2 * MAX_STRINGS) return undefined;
    parts.push(outside.replace(LARGE_INTEGER, '"$&"'));
    if (quote === -1) break;
    const string = endOfString(text, { quote, maxEscapes: MAX_ESCAPES - escapes });
    if (string === undefined) return undefined;
    escapes += string.escapes;
    position = string.end;
    parts.push(text.slice(quote, position));
  }
  return parts.join('');
}

function endOfString(
  text: string,
  { quote, maxEscapes }: { quote: number; maxEscapes: number },
): { end: number; escapes: number } | undefined {
  const closingOrEscape = /["\\]/g;
  closingOrEscape.lastIndex = quote + 1;
  for (let escapes = 0; escapes <= maxEscapes; escapes += 1) {
    const found = closingOrEscape.exec(text);
    if (found === null) return { end: text.length, escapes };
    if (found[0] === '"') return { end: found.index + 1, escapes };
    closingOrEscape.lastIndex = found.index + 2;
  }
  return undefined;
}

function parseObject(text: string, rewritten: string): JsonObject {
  try {
    const value = parseStrictJson(rewritten, { maxBytes: 2 * MAX_EVIDENCE_BYTES, maxDepth: MAX_DEPTH });
    if (isJsonObject(value)) return value;
  } catch (cause) {
    const message = messageOf(cause);
    if (isLaxEvidence(text)) throw new Refusal('evidence-malformed', `document: ${message}`, { cause });
    throw new NotEvidenceError(`not JSON: ${message}`, { cause });
  }
  throw new NotEvidenceError('not a JSON object');
}

/** JSON to a lenient reader, with a key twice or the like: still ours to refuse. */
function isLaxEvidence(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return (
      typeof value === 'object' && value !== null && 'format' in value && value.format === EVIDENCE_FORMAT
    );
  } catch {
    return false;
  }
}

/** Never parsed: an object that says somewhere what it is counts as evidence, anything else does not. */
function refuseOversizedBytes(input: Uint8Array | string): never {
  const bytes =
    typeof input === 'string'
      ? Buffer.from(input)
      : Buffer.from(input.buffer, input.byteOffset, input.length);
  const first = bytes.find((byte) => !JSON_SPACES.includes(byte));
  if (first !== OPENING_BRACE || !bytes.includes(`"${EVIDENCE_FORMAT}"`))
    throw new NotEvidenceError('not an evidence file, and too long to be one');
  throw new Refusal('evidence-too-large', `the document is longer than ${MAX_EVIDENCE_BYTES} bytes`);
}

function refuseOversized(text: string): never {
  if (FORMAT_FIELD.test(text))
    throw new Refusal('evidence-too-large', 'the document has more structure than any evidence');
  throw new NotEvidenceError('not an evidence file');
}
