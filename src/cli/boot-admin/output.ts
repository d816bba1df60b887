import { isJsonObject, type JsonValue } from '../../core/strict-json.ts';
import { formatDocument } from '../documents.ts';
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

export async function printDocument({ output }: Pick<Options, 'output'>, value: JsonValue): Promise<void> {
  print(await formatDocument(value, output === 'yaml' ? 'yaml' : 'json'));
}

export function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Each answer of the server is an object around a list. */
export function memberOf(answer: JsonValue, name: string): JsonValue | undefined {
  return isJsonObject(answer) ? answer[name] : undefined;
}
