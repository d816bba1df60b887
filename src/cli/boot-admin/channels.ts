import type { Command } from 'commander';
import type { JsonObject, JsonValue } from '../../core/strict-json.ts';
import { channelPath, parseCount, RELEASE_COLUMNS, slotWords } from './channel-words.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, print, printDetails, printRows, printSentence } from './output.ts';
import { type Column, printable } from './table.ts';

export function register(channels: Command): void {
  channels
    .command('list')
    .description('every channel, its slots and its rollout')
    .action((_options, command: Command) => list(command.optsWithGlobals()));
  channels
    .command('show')
    .argument('<channel>', 'its name')
    .description('one channel and its releases')
    .action((name: string, _options, command: Command) => show(command.optsWithGlobals(), name));
  channels
    .command('follow')
    .argument('<channel>', 'its name')
    .description('give up slots: every node gets the newest release, whatever becomes of it')
    .action((name: string, _options, command: Command) => follow(command.optsWithGlobals(), name));
  channels
    .command('health')
    .argument('<channel>', 'its name')
    .requiredOption('--tries <n>', 'failed boots after which a node is given the other slot', parseCount)
    .requiredOption('--window <seconds>', 'from the grant to the health report', parseCount)
    .description('when a boot counts as failed, and how often it may')
    .action((name: string, _options, command: Command) => setHealth(command.optsWithGlobals(), name));
}

const COLUMNS: readonly Column[] = [
  ['CHANNEL', (channel) => channel.channel],
  ['MODE', (channel) => channel.mode],
  ['ACTIVE', (channel) => (channel.mode === 'follow' ? newest(channel) : channel.active)],
  ['SLOT A', (channel) => slotWords(channel, 'A')],
  ['SLOT B', (channel) => slotWords(channel, 'B')],
  ['ROLLOUT', (channel) => rolloutWords(channel)],
];

const DETAILS: readonly Column[] = [
  ...COLUMNS,
  ['TRIES', (channel) => memberOf(channel.health ?? null, 'maxTries')],
  ['HEALTH WINDOW', (channel) => windowWords(channel)],
];

async function list(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/channels' });
  await printRows(options, COLUMNS, memberOf(answer, 'channels'));
}

async function show(options: Options, name: string): Promise<void> {
  const channel = await call(options, { method: 'GET', path: channelPath(name) });
  await printDetails(options, DETAILS, channel);
  if (options.output !== 'table') return;
  print('');
  await printRows(options, RELEASE_COLUMNS, memberOf(channel, 'releases'));
}

async function follow(options: Options, name: string): Promise<void> {
  const channel = await call(options, { method: 'POST', path: `${channelPath(name)}/follow`, body: {} });
  await printSentence(options, `${name} follows the newest release`, channel);
}

async function setHealth(options: Options & { tries: number; window: number }, name: string): Promise<void> {
  const body: JsonObject = { maxTries: options.tries, healthWindowSeconds: options.window };
  const channel = await call(options, { method: 'POST', path: `${channelPath(name)}/health`, body });
  await printSentence(
    options,
    `${name}: a boot must be reported healthy within ${options.window} seconds; after ${options.tries} failed ones a node gets the other slot`,
    channel,
  );
}

function newest({ releases }: JsonObject): JsonValue {
  const active = Array.isArray(releases)
    ? releases.find((release) => memberOf(release, 'state') === 'active')
    : undefined;
  return active === undefined ? '-' : `version ${printable(memberOf(active, 'version'))}`;
}

function rolloutWords({ rollout }: JsonObject): JsonValue {
  if (rollout === undefined || rollout === null) return '-';
  return `version ${printable(memberOf(rollout, 'version'))} ${printable(memberOf(rollout, 'state'))}`;
}

function windowWords({ health }: JsonObject): JsonValue {
  const seconds = memberOf(health ?? null, 'healthWindowSeconds');
  return seconds === undefined ? '-' : `${printable(seconds)} s`;
}
