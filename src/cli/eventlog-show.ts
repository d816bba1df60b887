import { type EventLogView, viewEventLog } from '../attestation/event-log/event-log-view.ts';
import { parsePcrIndex } from '../attestation/quote/pcr-values.ts';
import { messageOf } from '../core/errors.ts';
import { TpmFormatError } from '../tpm/errors.ts';
import type { EventLog } from '../tpm/event-log.ts';
import { CliError } from './boot-admin/cli-error.ts';
import { type Options, print, printDocument } from './boot-admin/output.ts';
import { type Column, formatTable } from './boot-admin/table.ts';
import { bankOfLog, readEventLog } from './eventlog-file.ts';
import { processIo } from './verify-evidence.ts';

export interface ShowOptions extends Pick<Options, 'output'> {
  /** As on the command line: "4" or "4,7". */
  pcr?: string;
  bank?: string;
}

const EXIT_UNREADABLE = 64;
const SHORT_DIGITS = 16;

const STANDINGS: Readonly<Record<string, string>> = {
  agrees: 'agrees',
  differs: 'DIFFERS',
  'not-logged': 'is silent',
  'not-quoted': 'is unproven',
};

const PCR_COLUMNS: readonly Column[] = [
  ['PCR', ({ pcr }) => pcr],
  ['THE LOG', ({ standing }) => STANDINGS[String(standing)]],
  ['QUOTED', ({ quoted }) => quoted],
  ['REPLAYED', ({ replayed }) => replayed],
];

const EVENT_COLUMNS: readonly Column[] = [
  ['EVENT', ({ number }) => number],
  ['PCR', ({ pcr }) => pcr],
  ['TYPE', ({ type }) => type],
  ['DIGEST', ({ digest }) => (typeof digest === 'string' ? digest.slice(0, SHORT_DIGITS) : undefined)],
  ['PROVEN', ({ proven }) => proven],
  ['SAYS', ({ description, contradicted }) => `${contradicted ? 'NOT WHAT WAS HASHED: ' : ''}${description}`],
];

/** `boot-admin eventlog show FILE`. @throws {CliError} */
export async function showEventLogFile(file: string, options: ShowOptions): Promise<void> {
  const log = await readFileAsLog(file);
  await printEventLog(
    options,
    viewOf(log, options),
    'no quote: "proven" is what one that agrees would prove',
  );
}

/** @throws {CliError} for options that do not fit this log */
export function viewOf(
  log: EventLog,
  options: ShowOptions,
  quotedPcrs?: ReadonlyMap<number, Uint8Array>,
): EventLogView {
  const hash = bankOfLog(log, options.bank);
  const banks = log.hashes.map(({ name }) => name).join(', ');
  if (hash === undefined) throw new CliError(`the log has bank ${banks}, not ${options.bank}`);
  return viewEventLog({ log, hash, quotedPcrs, pcrs: options.pcr?.split(',').map(parsePcrIndex) });
}

/** The view itself is printable, whatever the log says. */
export async function printEventLog(
  options: ShowOptions,
  { pcrs, events, ...rest }: EventLogView,
  about: string,
): Promise<void> {
  const rows = { pcrs: pcrs.map((pcr) => ({ ...pcr })), events: events.map((event) => ({ ...event })) };
  if (options.output !== 'table') return printDocument(options, { ...rest, ...rows });
  print(`bank ${rest.bank}; ${about}`);
  if (rest.problem !== undefined) print(`the log replays to nothing: ${rest.problem}`);
  print(`\n${formatTable(PCR_COLUMNS, rows.pcrs)}\n\n${formatTable(EVENT_COLUMNS, rows.events)}`);
  if (rest.omitted > 0) print(`and ${rest.omitted} more events; --pcr shows those of one PCR`);
}

async function readFileAsLog(file: string): Promise<EventLog> {
  try {
    return await readEventLog(processIo.open(file));
  } catch (cause) {
    const isFormat = cause instanceof TpmFormatError;
    const message = `${file}: ${isFormat ? `${cause.code}: ` : ''}${messageOf(cause)}`;
    throw new CliError(message, { cause, exitCode: isFormat ? 1 : EXIT_UNREADABLE });
  }
}
