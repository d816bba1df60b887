import type { Command } from 'commander';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { channelPath, parseCount } from './channel-words.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, print, printDetails, printRows, printSentence } from './output.ts';
import { type Column, formatTime, printable } from './table.ts';

export function register(rollout: Command): void {
  rollout
    .command('start')
    .argument('<channel>', 'its name')
    .argument('<version>', 'of a listed release', parseCount)
    .option(
      '--step <step>',
      'a share such as 10%, or a group of nodes; again for the next; the last is 100%',
      collect,
      [],
    )
    .option('--soak <seconds>', 'how long nodes must be healthy before the next step', parseCount)
    .option('--budget <nodes>', 'how many nodes the release may break at most', parseCount)
    .option('--concurrency <nodes>', 'how many may try it at one time', parseCount)
    .option(
      '--quorum <percent>',
      "how many of a step's nodes must have reported before the next step",
      parseCount,
    )
    .description('begin to give a release to nodes; it is staged first if it is not')
    .action((name: string, version: number, _options, command: Command) =>
      start(command.optsWithGlobals(), { name, version }),
    );
  for (const [verb, description] of [
    ['pause', 'begin it on no more nodes; those that have begun go on'],
    ['abort', 'give it up: all nodes go back to the active slot at their next boot'],
  ] as const)
    rollout
      .command(verb)
      .argument('<channel>', 'its name')
      .option('--reason <text>', 'kept with it')
      .description(description)
      .action((name: string, _options, command: Command) => stop(command.optsWithGlobals(), { name, verb }));
  rollout
    .command('resume')
    .argument('<channel>', 'its name')
    .option('--budget <nodes>', 'a larger failure budget, for a rollout that halted', parseCount)
    .description('go on with one that is paused or has halted')
    .action((name: string, _options, command: Command) => resume(command.optsWithGlobals(), name));
  rollout
    .command('status')
    .argument('<channel>', 'its name')
    .description('where it stands, and each node that took part')
    .action((name: string, _options, command: Command) => status(command.optsWithGlobals(), name));
}

interface StartOptions extends Options {
  step: string[];
  soak?: number;
  budget?: number;
  concurrency?: number;
  quorum?: number;
}

const STATUS: readonly Column[] = [
  ['CHANNEL', (rollout) => rollout.channel],
  ['VERSION', (rollout) => rollout.version],
  ['STATE', (rollout) => rollout.state],
  ['WHY', (rollout) => rollout.reason],
  ['STEP', (rollout) => stepWords(rollout)],
  ['NODES', (rollout) => tallyWords(rollout.tally)],
  ['WAITS FOR', (rollout) => rollout.waitsFor],
  ['BUDGET', (rollout) => memberOf(rollout.plan ?? null, 'failureBudget')],
  ['STARTED (UTC)', (rollout) => formatTime(rollout.startedAt)],
  ['ENDED (UTC)', (rollout) => formatTime(rollout.endedAt)],
];

const NODES: readonly Column[] = [
  ['NODE', (node) => node.id],
  ['EXPERIENCE', (node) => node.experience],
  ['FAILED', (node) => `${printable(node.failedTries)} of ${printable(node.maxTries)}`],
  ['LAST BOOT (UTC)', (node) => formatTime(memberOf(node.lastBoot ?? null, 'at'))],
  ['HOW IT FAILED', (node) => memberOf(node.lastFailure ?? null, 'kind')],
  ['IT SAID LAST', (node) => lastLine(memberOf(node.report ?? null, 'text'))],
];

async function start(
  options: StartOptions,
  { name, version }: { name: string; version: number },
): Promise<void> {
  const { step, soak, budget, concurrency, quorum } = options;
  const plan: JsonObject = {
    ...(step.length > 0 && { steps: step }),
    ...(soak !== undefined && { soakSeconds: soak }),
    ...(budget !== undefined && { failureBudget: budget }),
    ...(concurrency !== undefined && { concurrency }),
    ...(quorum !== undefined && { quorumPercent: quorum }),
  };
  const channel = await call(options, {
    method: 'POST',
    path: `${channelPath(name)}/rollout`,
    body: { version, plan },
  });
  await printSentence(options, `${name}: the rollout of version ${version} has begun`, channel);
}

async function stop(
  options: Options & { reason?: string },
  { name, verb }: { name: string; verb: 'pause' | 'abort' },
): Promise<void> {
  const body: JsonObject = options.reason === undefined ? {} : { reason: options.reason };
  await report(options, { name, verb, body });
}

async function resume(options: Options & { budget?: number }, name: string): Promise<void> {
  const body: JsonObject = options.budget === undefined ? {} : { failureBudget: options.budget };
  await report(options, { name, verb: 'resume', body });
}

async function report(
  options: Options,
  { name, verb, body }: { name: string; verb: string; body: JsonObject },
): Promise<void> {
  const channel = await call(options, { method: 'POST', path: `${channelPath(name)}/rollout/${verb}`, body });
  const rollout = memberOf(channel, 'rollout') ?? null;
  const [version, state] = ['version', 'state'].map((member) => printable(memberOf(rollout, member)));
  await printSentence(options, `${name}: the rollout of version ${version} is ${state}`, channel);
}

async function status(options: Options, name: string): Promise<void> {
  const rollout = await call(options, { method: 'GET', path: `${channelPath(name)}/rollout` });
  await printDetails(options, STATUS, rollout);
  if (options.output !== 'table') return;
  print('');
  await printRows(options, NODES, memberOf(rollout, 'nodes'));
}

function stepWords({ plan, step }: JsonObject): JsonValue {
  const steps = memberOf(plan ?? null, 'steps');
  if (!Array.isArray(steps) || typeof step !== 'number') return '-';
  return `${step} of ${steps.length} (${steps.map((each) => printable(each)).join(', ')})`;
}

function tallyWords(tally: JsonValue | undefined): JsonValue {
  if (tally === undefined || !isJsonObject(tally)) return '-';
  const { healthy, open, away, failed, cohort } = tally;
  const words = [
    `${printable(healthy)} healthy`,
    `${printable(open)} booting`,
    `${printable(away)} failed and away`,
  ];
  return `${words.join(', ')}, ${printable(failed)} gave it up; ${printable(cohort)} are due`;
}

/** The end of it tells most. */
function lastLine(text: JsonValue | undefined): JsonValue {
  if (typeof text !== 'string') return '-';
  return text.trimEnd().split('\n').at(-1)?.slice(-100) ?? '-';
}

function collect(value: string, before: string[]): string[] {
  return [...before, value];
}
