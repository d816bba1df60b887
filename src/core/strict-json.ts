import { CodedError } from './errors.ts';

/** A JSON value as {@link parseStrictJson} returns it: objects have no prototype. */
export type JsonValue = null | boolean | number | string | JsonValue[] | JsonObject;
export type JsonObject = { [key: string]: JsonValue };

export class StrictJsonError extends CodedError<'json-invalid'> {
  constructor(message: string) {
    super('json-invalid', message);
  }
}

export interface StrictJsonLimits {
  maxBytes: number;
  /** Nesting of arrays and objects; 32 unless told. */
  maxDepth?: number;
}

const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
const PLAIN_STRING = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

/**
 * RFC 8259 without its loose ends, so that two readers cannot see two documents in the same bytes:
 * refuses duplicate and prototype keys, a byte-order mark, invalid UTF-8, lone surrogates, integers
 * past 2^53 - 1, negative zero, excess depth and anything after the value.
 *
 * @throws {StrictJsonError} naming the offset
 */
export function parseStrictJson(input: Uint8Array | string, limits: StrictJsonLimits): JsonValue {
  const length = typeof input === 'string' ? Buffer.byteLength(input) : input.length;
  if (length > limits.maxBytes)
    throw new StrictJsonError(`the document has ${length} bytes, at most ${limits.maxBytes} are read`);
  const text = typeof input === 'string' ? input : decodeUtf8(input);
  return new Parser(text, limits.maxDepth ?? 32).document();
}

export function isJsonObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function decodeUtf8(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new StrictJsonError('the document is not valid UTF-8');
  }
}

class Parser {
  private position = 0;
  private readonly text: string;
  private readonly maxDepth: number;

  constructor(text: string, maxDepth: number) {
    this.text = text;
    this.maxDepth = maxDepth;
  }

  document(): JsonValue {
    const value = this.value(0);
    this.skipSpace();
    if (this.position !== this.text.length) this.fail('more text after the value');
    return value;
  }

  private value(depth: number): JsonValue {
    if (depth > this.maxDepth) this.fail(`nested deeper than ${this.maxDepth}`);
    this.skipSpace();
    switch (this.text[this.position]) {
      case '{':
        return this.object(depth);
      case '[':
        return this.array(depth);
      case '"':
        return this.string();
      case 't':
        return this.word('true', true);
      case 'f':
        return this.word('false', false);
      case 'n':
        return this.word('null', null);
      default:
        return this.number();
    }
  }

  private object(depth: number): JsonObject {
    const out = Object.create(null) as JsonObject;
    this.position += 1;
    if (this.accept('}')) return out;
    do {
      this.skipSpace();
      if (this.text[this.position] !== '"') this.fail('expected a key');
      const key = this.string();
      if (FORBIDDEN_KEYS.has(key)) this.fail(`key ${JSON.stringify(key)} is not allowed`);
      if (Object.hasOwn(out, key)) this.fail(`key ${JSON.stringify(excerpt(key))} appears twice`);
      if (!this.accept(':')) this.fail('expected ":"');
      out[key] = this.value(depth + 1);
    } while (this.accept(','));
    if (!this.accept('}')) this.fail('expected "," or "}"');
    return out;
  }

  private array(depth: number): JsonValue[] {
    const out: JsonValue[] = [];
    this.position += 1;
    if (this.accept(']')) return out;
    do out.push(this.value(depth + 1));
    while (this.accept(','));
    if (!this.accept(']')) this.fail('expected "," or "]"');
    return out;
  }

  private string(): string {
    let out = '';
    this.position += 1;
    for (;;) {
      out += this.match(PLAIN_STRING) ?? '';
      const next = this.text[this.position];
      if (next === '"') break;
      if (next !== '\\') this.fail('unterminated string or raw control character');
      out += this.escape();
    }
    this.position += 1;
    if (!out.isWellFormed()) this.fail('lone surrogate in a string');
    return out;
  }

  private escape(): string {
    const letter = this.text[this.position + 1] ?? '';
    this.position += 2;
    const simple = ESCAPES[letter];
    if (simple !== undefined) return simple;
    const digits = this.text.slice(this.position, this.position + 4);
    if (letter !== 'u' || !/^[0-9a-fA-F]{4}$/.test(digits)) this.fail('unknown escape');
    this.position += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  private number(): number {
    const digits = this.match(NUMBER);
    if (!digits) this.fail('expected a value');
    const value = Number(digits);
    if (!Number.isFinite(value) || Object.is(value, -0))
      this.fail(`number ${excerpt(digits)} is not allowed`);
    if (Number.isInteger(value) && !Number.isSafeInteger(value))
      this.fail(`number ${excerpt(digits)} is past 2^53`);
    return value;
  }

  private word<T extends JsonValue>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.position)) this.fail('expected a value');
    this.position += word.length;
    return value;
  }

  private accept(character: string): boolean {
    this.skipSpace();
    if (this.text[this.position] !== character) return false;
    this.position += 1;
    return true;
  }

  private match(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.position;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.position += found.length;
    return found;
  }

  private skipSpace(): void {
    while (this.position < this.text.length && ' \t\n\r'.includes(this.text[this.position] as string))
      this.position += 1;
  }

  private fail(message: string): never {
    throw new StrictJsonError(`${message} (at character ${this.position})`);
  }
}

/** Messages are sent back and logged: a document must not decide how long they are. */
function excerpt(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
