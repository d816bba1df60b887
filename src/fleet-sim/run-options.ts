import { BAD_WAYS, type BadWay, type Mixture } from './behaviour.ts';
import { FleetError } from './fleet-error.ts';

export const MAX_NODES = 10_000;
export const MAX_SECONDS = 3600;

/** As typed; commander has filled in defaults. */
export interface RunOptions {
  url: string;
  ca: string;
  stage0: string;
  build: string;
  nodes?: string;
  bad: string;
  badOn?: string;
  badWay: string;
  offline: string;
  slow: string;
  slowSeconds: string;
  concurrency: string;
  waves: string;
  restSeconds: string;
  seconds: string;
  downloads?: true;
}

/** @throws {FleetError} `fleet-options` */
export function toCount(name: string, text: string, { from, to }: { from: number; to: number }): number {
  const value = /^[0-9]{1,7}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value >= from && value <= to))
    throw new FleetError('fleet-options', `--${name}: expected ${from} to ${to}, found "${text}"`);
  return value;
}

/** `10`, or `5%` of the nodes. @throws {FleetError} `fleet-options` */
function toShare(name: string, text: string, nodes: number): number {
  const percent = /^(\d{1,3})%$/.exec(text)?.[1];
  return percent === undefined
    ? toCount(name, text, { from: 0, to: nodes })
    : Math.ceil((toCount(name, percent, { from: 0, to: 100 }) * nodes) / 100);
}

/** @throws {FleetError} `fleet-options` */
export function toMixture(options: RunOptions, chips: number): Mixture {
  const nodes = toCount('nodes', options.nodes ?? String(chips), { from: 1, to: chips });
  const bad = toShare('bad', options.bad, nodes);
  const offline = toShare('offline', options.offline, nodes);
  const slow = toShare('slow', options.slow, nodes);
  if (bad + offline + slow > nodes)
    throw new FleetError('fleet-options', 'more bad, offline and slow nodes than nodes');
  return {
    nodes,
    offline,
    ...(bad > 0 && {
      bad: { nodes: bad, versions: toVersions(options.badOn), ways: toWays(options.badWay) },
    }),
    slow: {
      nodes: slow,
      seconds: toCount('slow-seconds', options.slowSeconds, { from: 0, to: MAX_SECONDS }),
    },
  };
}

function toVersions(text: string | undefined): number[] {
  if (text === undefined)
    throw new FleetError('fleet-options', '--bad-on: say which versions are bad for the bad nodes');
  return text.split(',').map((version) => toCount('bad-on', version, { from: 1, to: 9_999_999 }));
}

function toWays(text: string): readonly BadWay[] {
  const ways = text.split(',').map((name) => BAD_WAYS.find((way) => way === name));
  if (ways.includes(undefined))
    throw new FleetError('fleet-options', `--bad-way: expected some of ${BAD_WAYS.join(',')}`);
  return ways.filter((way) => way !== undefined);
}

/** @throws {FleetError} `fleet-options` */
export function toAddress(text: string): { host: string; port: number } {
  const url = URL.parse(text);
  if (url?.protocol !== 'https:' || url.pathname !== '/')
    throw new FleetError('fleet-options', `--url: expected https://HOST:PORT, found "${text}"`);
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || '443') };
}
