import { CodedError } from '../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson, StrictJsonError } from '../core/strict-json.ts';
import { Refusal } from './reasons.ts';

export const EVIDENCE_FORMAT = 'bootward-evidence-v1';

/** An event log at its own limit, in base64, and everything else many times over. */
export const MAX_EVIDENCE_BYTES = 24 * 1024 * 1024;

/** Not an evidence file at all: not JSON, not an object, or of another format. */
export class NotEvidenceError extends CodedError<'evidence-unreadable'> {
  constructor(message: string) {
    super('evidence-unreadable', message);
  }
}

/** A few hundred PCR values and reference values; a hostile document is millions of empty objects. */
const MAX_TOKENS = 20_000;
const MAX_DEPTH = 8;
const STRUCTURE = /[[\]{},:]/g;
/** UINT64 fields do not fit a double: integers of 16 digits or more are read as decimal strings. */
const LARGE_INTEGER = /(?<![\d.eE+-])[1-9]\d{15,}(?![\d.eE])/g;
const FORMAT_FIELD = new RegExp(`"format"\\s*:\\s*"${EVIDENCE_FORMAT}"`);

/**
 * The document as an object. Bytes, then tokens are bounded before anything is built from them.
 *
 * @throws {NotEvidenceError}
 * @throws {Refusal} `evidence-too-large`, or `evidence-malformed` for an evidence file that is not strict JSON
 */
export function parseEvidenceJson(input: Uint8Array | string): JsonObject {
  if (input.length > MAX_EVIDENCE_BYTES)
    throw new Refusal('evidence-too-large', `the document is longer than ${MAX_EVIDENCE_BYTES} bytes`);
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  const { tokens, rewritten } = scan(text);
  if (tokens > MAX_TOKENS) return refuseOversized(text);
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

/** Walks from string to string: what is inside quotes is neither counted nor touched. */
function scan(text: string): { tokens: number; rewritten: string } {
  const parts: string[] = [];
  let tokens = 0;
  for (let position = 0; position < text.length && tokens <= MAX_TOKENS; ) {
    const quote = text.indexOf('"', position);
    const outside = text.slice(position, quote === -1 ? text.length : quote);
    tokens += outside.match(STRUCTURE)?.length ?? 0;
    parts.push(outside.replace(LARGE_INTEGER, '"$&"'));
    position = quote === -1 ? text.length : endOfString(text, quote);
    if (quote !== -1) parts.push(text.slice(quote, position));
  }
  return { tokens, rewritten: parts.join('') };
}

function endOfString(text: string, start: number): number {
  const CLOSING = /["\\]/g;
  CLOSING.lastIndex = start + 1;
  for (let found = CLOSING.exec(text); found !== null; found = CLOSING.exec(text)) {
    if (found[0] === '"') return found.index + 1;
    CLOSING.lastIndex = found.index + 2;
  }
  return text.length;
}

function parseObject(text: string, rewritten: string): JsonObject {
  try {
    const value = parseStrictJson(rewritten, { maxBytes: 2 * MAX_EVIDENCE_BYTES, maxDepth: MAX_DEPTH });
    if (isJsonObject(value)) return value;
  } catch (cause) {
    if (!(cause instanceof StrictJsonError)) throw cause;
    if (isLaxEvidence(text)) throw new Refusal('evidence-malformed', `document: ${cause.message}`, { cause });
    throw new NotEvidenceError(`not JSON: ${cause.message}`);
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

function refuseOversized(text: string): never {
  if (FORMAT_FIELD.test(text))
    throw new Refusal('evidence-too-large', `the document has more than ${MAX_TOKENS} tokens`);
  throw new NotEvidenceError('not an evidence file');
}
