import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Command, InvalidArgumentError } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { parseRoot } from '../../signing/tuf/root.ts';
import { createDoorFetch, type FetchFile, fetchMetadata } from '../../signing/watch/fetch-metadata.ts';
import { observe, type Sighting, type SightingKind, sightingOf } from '../../signing/watch/observe.ts';
import { loadMemory, saveMemory, WatchMemoryError } from '../../signing/watch/watch-memory.ts';
import { toAsciiJson } from '../documents.ts';
import { CliError } from './cli-error.ts';
import { type Options, print } from './output.ts';
import { formatTime, printable } from './table.ts';

/** docs/boot-admin.md. 1 and 2 are taken by refusals and holds. */
const EXIT_STATUS: Readonly<Record<SightingKind, number>> = {
  current: 0,
  frozen: 10,
  'rolled-back': 11,
  expired: 12,
  unreachable: 13,
  forged: 14,
};
const TIMEOUT_MS = 30_000;
const DAY_SECONDS = 86_400;

interface WatchOptions extends Options {
  readonly root: string;
  readonly ca?: string;
  readonly state: string;
  readonly maxAge: number;
  readonly interval: number;
  readonly once?: true;
}

export function register(watch: Command): void {
  watch
    .argument('<url>', "the agents' door, such as https://boot.example.net:8444", parseUrl)
    .requiredOption('--root <file>', 'the TUF root that trust starts from, such as 1.root.json')
    .option('--ca <file>', "the server's CA in PEM; without it those of this system")
    .option('--state <file>', 'what was seen before, kept here', 'bootward-watch.json')
    .option('--max-age <time>', 'the oldest that a timestamp may be: 12h or 14d', parseTime, 14 * DAY_SECONDS)
    .option('--interval <seconds>', 'how often to look', parseSeconds, 300)
    .option('--once', 'look once; the exit status says what was seen')
    .action((url: URL, _options, command: Command) => runWatch(url, command.optsWithGlobals()));
}

async function runWatch(url: URL, options: WatchOptions): Promise<void> {
  const trustedRoot = await readRoot(options.root);
  const ca = options.ca === undefined ? undefined : (await readGiven(options.ca)).toString('latin1');
  const fetchFile = createDoorFetch({ url, timeoutMs: TIMEOUT_MS, ...(ca !== undefined && { ca }) });
  const look = () => lookOnce({ trustedRoot, fetchFile, options });
  if (options.once) {
    const sighting = await look();
    report(url, sighting, options);
    process.exitCode = EXIT_STATUS[sighting.kind];
    return;
  }
  for (let last = ''; ; await sleep(options.interval * 1000)) {
    const sighting = await look();
    const now = wordsOf(sighting);
    if (now !== last) report(url, sighting, options);
    last = now;
  }
}

/** Loads the memory each time: several watchers of one repository may share it. */
async function lookOnce(on: {
  trustedRoot: Uint8Array;
  fetchFile: FetchFile;
  options: WatchOptions;
}): Promise<Sighting> {
  const { trustedRoot, fetchFile, options } = on;
  const memory = await loadMemory(options.state, trustedRoot).catch((cause: unknown) => {
    if (cause instanceof WatchMemoryError) throw new CliError(cause.message, { cause });
    throw cause;
  });
  let files: ReadonlyMap<string, Uint8Array>;
  try {
    files = await fetchMetadata(trustedRoot, fetchFile);
  } catch (error) {
    return sightingOf(error, systemClock.nowMs());
  }
  const nowMs = systemClock.nowMs();
  const seen = observe({ trustedRoot, files, memory, nowMs, maxAgeSeconds: options.maxAge });
  if (seen.memory !== memory) await saveMemory(options.state, seen.memory);
  return seen.sighting;
}

/** What makes a new line: what is seen, and of good metadata the versions. */
function wordsOf({ kind, versions, detail }: Sighting): string {
  return versions === undefined ? `${kind} ${detail}` : `${kind} ${JSON.stringify(versions)}`;
}

function report(url: URL, sighting: Sighting, { output }: WatchOptions): void {
  const { kind, atSeconds, detail, versions, ageSeconds } = sighting;
  if (output !== 'table') {
    const line = { url: url.href, state: kind, at: atSeconds, detail, versions, ageSeconds };
    print(toAsciiJson(JSON.stringify(line)));
    return;
  }
  print(`${formatTime(atSeconds)}  ${kind.padEnd(11)}  ${url.host}  ${printable(detail)}`);
}

/** What is no root here says nothing of the door. */
async function readRoot(path: string): Promise<Buffer> {
  const bytes = await readGiven(path);
  try {
    parseRoot(bytes);
    return bytes;
  } catch (cause) {
    throw new CliError(`${path} is no TUF root: ${messageOf(cause)}`, { cause });
  }
}

async function readGiven(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw new CliError(`${path} cannot be read: ${messageOf(cause)}`, { cause });
  });
}

function parseUrl(text: string): URL {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' || url.username !== '' || url.pathname !== '/' || url.search !== '')
    throw new InvalidArgumentError('expected https://HOST:PORT');
  return url;
}

function parseSeconds(text: string): number {
  if (!/^[1-9][0-9]{0,6}$/.test(text)) throw new InvalidArgumentError('expected seconds, 1 to 9999999');
  return Number(text);
}

const UNITS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: DAY_SECONDS };

function parseTime(text: string): number {
  const [, number, unit] = /^([1-9][0-9]{0,5})([smhd])$/.exec(text) ?? [];
  if (number === undefined || unit === undefined)
    throw new InvalidArgumentError('expected a time such as 12h or 14d');
  return Number(number) * (UNITS[unit] ?? 1);
}
