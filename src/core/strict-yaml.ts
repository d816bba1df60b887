import { parseDocument } from 'yaml';
import { CodedError, messageOf } from './errors.ts';
import { type JsonValue, parseStrictJson } from './strict-json.ts';

export class StrictYamlError extends CodedError<'yaml-invalid'> {
  constructor(message: string, cause?: unknown) {
    super('yaml-invalid', message, { cause });
  }
}

const MAX_DEPTH = 16;

/**
 * YAML 1.2 (and so JSON) as a plain tree: no anchors, aliases, merge keys or tags, no key twice, and nothing that
 * JSON could not say. An empty document is null.
 *
 * @throws {StrictYamlError} naming the line
 */
export function parseStrictYaml(text: string, { maxBytes }: { maxBytes: number }): JsonValue {
  const length = Buffer.byteLength(text);
  if (length > maxBytes)
    throw new StrictYamlError(`the document has ${length} bytes, at most ${maxBytes} are read`);
  try {
    const document = parseDocument(text, { schema: 'core', version: '1.2' });
    const fault = document.errors[0] ?? document.warnings[0];
    if (fault !== undefined) throw new StrictYamlError(fault.message);
    const plain: unknown = document.toJS({ maxAliasCount: 0 }) ?? null;
    return parseStrictJson(JSON.stringify(plain), { maxBytes: 4 * maxBytes, maxDepth: MAX_DEPTH });
  } catch (cause) {
    if (cause instanceof StrictYamlError) throw cause;
    throw new StrictYamlError(messageOf(cause), cause);
  }
}
