import { CST, Lexer, parseDocument } from 'yaml';
import { CodedError, messageOf } from './errors.ts';
import { toPrintable } from './printable.ts';
import { type JsonValue, parseStrictJson } from './strict-json.ts';

export class StrictYamlError extends CodedError<'yaml-invalid'> {
  constructor(message: string, cause?: unknown) {
    super('yaml-invalid', message, { cause });
  }
}

const MAX_DEPTH = 16;
const MAX_FAULT = 200;
const NOT_IN_JSON: readonly unknown[] = ['anchor', 'alias', 'tag', 'directive-line'];

/**
 * YAML 1.2 (and so JSON) as a plain tree: no anchors, aliases, merge keys, tags or directives, no key twice, and
 * nothing that JSON could not say. An empty document is null.
 *
 * @throws {StrictYamlError} naming the line
 */
export function parseStrictYaml(text: string, { maxBytes }: { maxBytes: number }): JsonValue {
  const length = Buffer.byteLength(text);
  if (length > maxBytes)
    throw new StrictYamlError(`the document has ${length} bytes, at most ${maxBytes} are read`);
  checkTokens(text);
  try {
    const document = parseDocument(text, { schema: 'core', version: '1.2', stringKeys: true });
    const fault = document.errors[0] ?? document.warnings[0];
    if (fault !== undefined) throw new StrictYamlError(firstLineOf(fault.message));
    return parseStrictJson(JSON.stringify(document.toJS() ?? null, requireFinite), {
      maxBytes: 4 * maxBytes,
      maxDepth: MAX_DEPTH,
    });
  } catch (cause) {
    if (cause instanceof StrictYamlError) throw cause;
    throw new StrictYamlError(messageOf(cause), cause);
  }
}

/** `JSON.stringify` would write null for them. */
function requireFinite(_key: string, value: unknown): unknown {
  if (typeof value === 'number' && !Number.isFinite(value))
    throw new StrictYamlError('a number that is not finite');
  return value;
}

/** Before anything recurses or resolves: what nests too deep, and what JSON has no word for. */
function checkTokens(text: string): void {
  let line = 1;
  let flowDepth = 0;
  let indicatorsOfLine = 0;
  let isScalar = false;
  for (const token of new Lexer().lex(text)) {
    const type = isScalar ? 'scalar' : CST.tokenType(token);
    isScalar = token === CST.SCALAR;
    if (NOT_IN_JSON.includes(type)) throw new StrictYamlError(`line ${line}: no ${type} is read`);
    if (type === 'flow-seq-start' || type === 'flow-map-start') flowDepth += 1;
    if (type === 'flow-seq-end' || type === 'flow-map-end') flowDepth -= 1;
    if (type === 'seq-item-ind' || type === 'explicit-key-ind') indicatorsOfLine += 1;
    if (flowDepth > MAX_DEPTH || indicatorsOfLine > MAX_DEPTH)
      throw new StrictYamlError(`line ${line}: nested deeper than ${MAX_DEPTH}`);
    if (type === 'newline') indicatorsOfLine = 0;
    line += token.split('\n').length - 1;
  }
}

/** Behind it the library shows the place with an arrow. */
function firstLineOf(message: string): string {
  return toPrintable(message.replace(/:?\n.*$/s, ''), MAX_FAULT);
}
