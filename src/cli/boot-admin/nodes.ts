import type { Command } from 'commander';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { call } from './operators-client.ts';
import {
  memberOf,
  type Options,
  print,
  printDetails,
  printDocument,
  printRows,
  printSentence,
} from './output.ts';
import { type Column, formatTime, printable, wordsOf } from './table.ts';
import { VERDICT_COLUMNS } from './verdicts.ts';

const DECISIONS = [
  ['approve', 'admit a pending node, after comparing its EK fingerprint on its own console'],
  ['reject', 'turn a pending node away'],
  ['readmit', 'let a rejected node wait again'],
  ['revoke', 'end a node: no challenge, no grant, not under any of its keys'],
  ['lift-hold', 'accept that TPM counters went back or TPM firmware changed: the next evidence starts anew'],
  [
    'rotate-ak',
    'replace its attestation key: it makes the next generation when it boots, the old one is void',
  ],
  ['allow-new-ak', 'let its next enrolment bring another attestation key, once'],
  ['assert-rom', 'say that its ROM verifies stage-0, which no evidence tells'],
  ['withdraw-rom', 'take that back; its grants are closed'],
  ['forget-baseline', 'take its next boot as its first, by the rule of its policy'],
  ['move', 'give it another channel; the floor record of its TPM is kept for one, and forgotten here'],
  ['reset-floor', 'let its next boot come without the floor record of its TPM, or with a lower one'],
] as const;

type Decision = (typeof DECISIONS)[number][0];

export function register(nodes: Command): void {
  nodes
    .command('list')
    .description('every node with its three facts')
    .action((_options, command: Command) => listNodes(command.optsWithGlobals()));
  nodes
    .command('show')
    .argument('<node>', 'its id')
    .description('one node and its last verdicts')
    .action((id: string, _options, command: Command) => showNode(command.optsWithGlobals(), id));
  nodes
    .command('releases')
    .argument('<node>', 'its id')
    .description('what it went through with each release, and what it said last')
    .action((id: string, _options, command: Command) => showReleases(command.optsWithGlobals(), id));
  nodes
    .command('group')
    .argument('<node>', 'its id')
    .argument('[group]', 'the group whose turn in rollouts it shares; none: it leaves its group')
    .description('put it into a group for rollouts')
    .action((id: string, group: string | undefined, _options, command: Command) =>
      changeGroup(command.optsWithGlobals(), { id, group }),
    );
  nodes
    .command('retry')
    .argument('<node>', 'its id')
    .description('let it try again what it has given up')
    .action((id: string, _options, command: Command) => retry(command.optsWithGlobals(), id));
  for (const [verb, description] of DECISIONS) {
    const decision = nodes
      .command(verb)
      .argument('<node>', 'its id')
      .description(description)
      .action((id: string, _options, command: Command) => decide(command.optsWithGlobals(), { id, verb }));
    const reason = ['--reason <text>', 'kept in the audit log'] as const;
    if (verb === 'reset-floor' || verb === 'move') decision.requiredOption(...reason);
    else decision.option(...reason);
    const channel = ['--channel <name>', 'the channel it gets releases from'] as const;
    if (verb === 'approve') decision.option(...channel);
    if (verb === 'move') decision.requiredOption(...channel);
  }
}

const NODE_COLUMNS: readonly Column[] = [
  ['NODE', (node) => node.id],
  [
    'STATUS',
    (node) => (isJsonObject(node.suspect ?? null) ? `${printable(node.status)}, suspect` : node.status),
  ],
  ['IDENTITY', (node) => node.identity],
  ['ADMISSION', (node) => node.admission],
  ['STATE', (node) => node.state],
  ['CHANNEL', (node) => node.channel],
  ['LAST VERDICT', (node) => formatTime(node.lastVerdictAt)],
];

const NODE_DETAILS: readonly Column[] = [
  ...NODE_COLUMNS,
  ['ENROLLED', (node) => formatTime(node.createdAt)],
  ['EK, TO COMPARE', (node) => node.ekGroups],
  ['EKS', (node) => wordsOf(node.ekFingerprints)],
  ['TPM BY', (node) => node.manufacturer],
  ['AK NAME', (node) => node.akName],
  ['AK GENERATION', (node) => node.akGeneration],
  ['AK MAY CHANGE', (node) => node.akMayChange],
  ['ROM ASSERTED', (node) => node.romAsserted],
  ['SUSPECT', (node) => describeSuspicion(node.suspect)],
  ['RUNNING', (node) => describeSession(node.session)],
  [
    'FLOOR',
    (node) => (node.floorReset === true ? 'reset: its next boot shows the first' : describeFloor(node.floor)),
  ],
  // What the machine says of itself; nothing was decided on it.
  ['SAYS IT IS', (node) => wordsOf(node.hints)],
];

function describeSuspicion(suspect: JsonValue | undefined): string {
  if (suspect === undefined || suspect === null) return 'no';
  return `since ${formatTime(memberOf(suspect, 'since'))}: ${printable(memberOf(suspect, 'reason'))}`;
}

function describeSession(session: JsonValue | undefined): string {
  if (session === undefined || session === null) return '-';
  const [startedAt, provenAt] = ['startedAt', 'provenAt'].map((name) => formatTime(memberOf(session, name)));
  return `release ${printable(memberOf(session, 'releaseDigest'))} since ${startedAt}, proven ${provenAt}`;
}

const FLOOR_VERSIONS = ['root', 'targets', 'snapshot', 'channel'] as const;

/** The metadata versions below which the node itself goes never again. */
function describeFloor(floor: JsonValue | undefined): string {
  if (floor === undefined || floor === null) return '-';
  if (memberOf(floor, 'shown') !== true) return 'expected, none shown yet';
  const versions = FLOOR_VERSIONS.map((role) => `${role} ${printable(memberOf(floor, role))}`);
  const signedAt = memberOf(floor, 'signedAt');
  return `${versions.join(', ')}, signed ${signedAt === 0 ? '-' : formatTime(signedAt)}`;
}

async function listNodes(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/nodes' });
  await printRows(options, NODE_COLUMNS, memberOf(answer, 'nodes'));
}

async function showNode(options: Options, id: string): Promise<void> {
  const node = await call(options, { method: 'GET', path: nodePath(id) });
  await printDetails(options, NODE_DETAILS, node);
  if (options.output !== 'table') return;
  print('');
  await printRows(options, VERDICT_COLUMNS, memberOf(node, 'verdicts'));
}

async function decide(
  options: Options & { reason?: string; channel?: string },
  { id, verb }: { id: string; verb: Decision },
): Promise<void> {
  const body: JsonObject = {};
  if (options.reason !== undefined) body.reason = options.reason;
  if (options.channel !== undefined) body.channel = options.channel;
  const node = await call(options, { method: 'POST', path: `${nodePath(id)}/${verb}`, body });
  await printSentence(options, `${id} is ${printable(memberOf(node, 'status'))}`, node);
}

const EXPERIENCE_COLUMNS: readonly Column[] = [
  ['VERSION', (release) => release.version],
  ['EXPERIENCE', (release) => release.experience],
  ['DIGEST', (release) => release.digest],
];

async function showReleases(options: Options, id: string): Promise<void> {
  const answer = await call(options, { method: 'GET', path: `${nodePath(id)}/releases` });
  const releases = memberOf(answer, 'releases');
  if (options.output === 'table') await printRows(options, EXPERIENCE_COLUMNS, releases);
  else await printDocument(options, answer);
  if (options.output !== 'table' || !Array.isArray(releases)) return;
  print(`\nat its next boot: ${nextWords(memberOf(answer, 'next') ?? null)}`);
  for (const release of releases) printReport(release);
}

function nextWords(next: JsonValue): string {
  const reasons = memberOf(next, 'reasons');
  const words = Array.isArray(reasons) ? reasons.map((reason) => printable(memberOf(reason, 'message'))) : [];
  const version = memberOf(next, 'version');
  return `${typeof version === 'number' ? `version ${version}` : 'nothing'} (${words.join('; ')})`;
}

/** Each line of it by itself: the text is the node's. */
function printReport(release: JsonValue): void {
  const report = memberOf(release, 'report');
  if (typeof report !== 'string') return;
  print(`\nabout version ${printable(memberOf(release, 'version'))} it said:`);
  for (const line of report.trimEnd().split('\n')) print(`  ${printable(line)}`);
}

async function changeGroup(
  options: Options,
  { id, group }: { id: string; group: string | undefined },
): Promise<void> {
  const body: JsonObject = group === undefined ? {} : { group };
  const node = await call(options, { method: 'POST', path: `${nodePath(id)}/group`, body });
  await printSentence(
    options,
    group === undefined ? `${id} is in no group` : `${id} is in group ${group}`,
    node,
  );
}

async function retry(options: Options, id: string): Promise<void> {
  const node = await call(options, { method: 'POST', path: `${nodePath(id)}/retry`, body: {} });
  await printSentence(options, `${id} may try again what it has given up`, node);
}

function nodePath(id: string): string {
  return `/admin/v1/nodes/${encodeURIComponent(id)}`;
}
