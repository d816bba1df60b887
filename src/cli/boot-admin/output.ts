import { isJsonObject, type JsonValue } from '../../core/strict-json.ts';
import type { Connection } from './operators-client.ts';
import { type Column, formatDetails, formatTable } from './table.ts';

export const OUTPUT_FORMATS = ['table', 'json', 'yaml'] as const;

/** What every command takes: `command.optsWithGlobals<Options>()`. */
export interface Options extends Connection {
  output: (typeof OUTPUT_FORMATS)[number];
}

/** For people a line for each row, for programs the rows as the server wrote them. */
export async function printRows(
  options: Options,
  columns: readonly Column[],
  rows: JsonValue | undefined,
): Promise<void> {
  const list = Array.isArray(rows) ? rows : [];
  if (options.output === 'table') print(formatTable(columns, list));
  else await printDocument(options, list);
}

/** For people a line for each field. */
export async function printDetails(
  options: Options,
  fields: readonly Column[],
  value: JsonValue,
): Promise<void> {
  if (options.output === 'table' && isJsonObject(value)) print(formatDetails(fields, value));
  else await printDocument(options, value);
}

/** For people one sentence about what was done. */
export async function printSentence(options: Options, sentence: string, value: JsonValue): Promise<void> {
  if (options.output === 'table') print(sentence);
  else await printDocument(options, value);
}

/** YAML if asked for, else JSON; both in ASCII, so that what a machine says of itself drives no terminal. */
export async function printDocument({ output }: Pick<Options, 'output'>, value: JsonValue): Promise<void> {
  print(output === 'yaml' ? await formatYaml(value) : toAsciiJson(JSON.stringify(value, null, 2)));
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Each answer of the server is an object around a list. */
export function memberOf(answer: JsonValue, name: string): JsonValue | undefined {
  return isJsonObject(answer) ? answer[name] : undefined;
}

function toAsciiJson(json: string): string {
  return json.replace(/[\x7f-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** Loaded when it is asked for. Escapes exist in double quotes only (YAML 1.2.2, section 5.7). */
async function formatYaml(value: JsonValue): Promise<string> {
  const { stringify } = await import('yaml');
  const plain = stringify(value, { lineWidth: 0 });
  if (/^[\x20-\x7e\n]*$/.test(plain)) return plain.trimEnd();
  const quoted = stringify(value, { lineWidth: 0, defaultStringType: 'QUOTE_DOUBLE' });
  return quoted.trimEnd().replace(/[^\x20-\x7e\n]/gu, escapeForYaml);
}

function escapeForYaml(character: string): string {
  return `\\U${(character.codePointAt(0) ?? 0).toString(16).padStart(8, '0')}`;
}
