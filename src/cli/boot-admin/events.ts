import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, print, printRows } from './output.ts';
import { type Column, formatTime, printable } from './table.ts';

const PAGE = 1000;
const POLL_MS = 2000;

export function register(events: Command): void {
  events
    .command('list')
    .option('--after <number>', 'only those after this one', parseNumber, 0)
    .option('--follow', 'go on, and print what happens as it happens')
    .description('what happened: decisions of operators, nodes that became suspect, publications')
    .action((_options, command: Command) => list(command.optsWithGlobals()));
}

const COLUMNS: readonly Column[] = [
  ['EVENT', (event) => event.id],
  ['TIME (UTC)', (event) => formatTime(event.at)],
  ['WHAT', (event) => event.kind],
  ['OF', (event) => event.subject],
  ['DETAIL', (event) => detailIn(event.detail)],
];

async function list(options: Options & { after: number; follow?: boolean }): Promise<void> {
  if (options.follow === true) return follow(options, options.after);
  const all: JsonObject[] = [];
  for (let after = options.after; ; ) {
    const page = await eventsAfter(options, after);
    all.push(...page);
    if (page.length < PAGE) break;
    after = idOf(page.at(-1), after);
  }
  await printRows(options, COLUMNS, all);
}

/** A line for each, until somebody ends it. */
async function follow(options: Options, start: number): Promise<never> {
  for (let after = start; ; ) {
    const page = await eventsAfter(options, after);
    for (const event of page)
      print(
        options.output === 'table'
          ? COLUMNS.map(([, cell]) => printable(cell(event))).join('  ')
          : JSON.stringify(event),
      );
    after = idOf(page.at(-1), after);
    if (page.length < PAGE) await sleep(POLL_MS);
  }
}

async function eventsAfter(options: Options, after: number): Promise<JsonObject[]> {
  const path = `/admin/v1/events?after=${after}&limit=${PAGE}`;
  const events = memberOf(await call(options, { method: 'GET', path }), 'events');
  return Array.isArray(events) ? events.filter(isJsonObject) : [];
}

function idOf(event: JsonObject | undefined, otherwise: number): number {
  return typeof event?.id === 'number' ? event.id : otherwise;
}

function detailIn(detail: JsonValue | undefined): string {
  if (!isJsonObject(detail ?? null)) return '';
  return Object.entries(detail as JsonObject)
    .filter(([, value]) => value !== '')
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(' ');
}

function parseNumber(text: string): number {
  if (!/^(?:0|[1-9][0-9]{0,14})$/.test(text)) throw new InvalidArgumentError('expected a number');
  return Number(text);
}
