import { type Command, InvalidArgumentError, Option } from 'commander';
import type { JsonObject, JsonValue } from '../../core/strict-json.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, printRows, printSentence } from './output.ts';
import { type Column, formatTime, printable } from './table.ts';

const PATH = '/admin/v1/firmware/approvals';

export function register(firmware: Command): void {
  firmware
    .command('approve')
    .argument('<verdict>', 'the number of the verdict that holds a node for its firmware', parseNumber)
    .addOption(new Option('--channel <name>', 'good for every node of this channel').conflicts('all'))
    .option('--all', 'good for every node; without either, for that node alone')
    .option('--name <text>', 'what to call it, such as the version of the firmware')
    .option('--reason <text>', 'kept in the audit log')
    .description('find good what a held boot measured: the next boot with exactly these values passes')
    .action((verdict: number, _options, command: Command) => approve(command.optsWithGlobals(), verdict));
  firmware
    .command('list')
    .description('what was found good, and for whom')
    .action((_options, command: Command) => list(command.optsWithGlobals()));
  firmware
    .command('withdraw')
    .argument('<approval>', 'its number', parseNumber)
    .option('--reason <text>', 'kept in the audit log')
    .description('find it good no longer; nodes that have booted with it keep it as their baseline')
    .action((id: number, _options, command: Command) => withdraw(command.optsWithGlobals(), id));
}

const COLUMNS: readonly Column[] = [
  ['APPROVAL', (approval) => approval.id],
  ['NAME', (approval) => approval.name],
  ['GOOD FOR', (approval) => scopeIn(approval.scope)],
  ['VERDICT', (approval) => approval.verdictId],
  ['APPROVED (UTC)', (approval) => formatTime(approval.approvedAt)],
  ['REASON', (approval) => approval.reason],
];

async function approve(
  options: Options & { channel?: string; all?: boolean; name?: string; reason?: string },
  verdictId: number,
): Promise<void> {
  const { channel, all, name, reason } = options;
  const body: JsonObject = {
    verdictId,
    scope: channel !== undefined ? { channel } : all === true ? 'all' : 'node',
  };
  if (name !== undefined) body.name = name;
  if (reason !== undefined) body.reason = reason;
  const answer = await call(options, { method: 'POST', path: PATH, body });
  const scope = scopeIn(memberOf(answer, 'scope'));
  const id = printable(memberOf(answer, 'id'));
  await printSentence(
    options,
    `approval ${id}: what verdict ${verdictId} measured is good for ${scope}`,
    answer,
  );
}

async function list(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: PATH });
  await printRows(options, COLUMNS, memberOf(answer, 'approvals'));
}

async function withdraw(options: Options & { reason?: string }, id: number): Promise<void> {
  const body: JsonObject = options.reason === undefined ? {} : { reason: options.reason };
  const answer = await call(options, { method: 'POST', path: `${PATH}/${id}/withdraw`, body });
  await printSentence(options, `approval ${id} is withdrawn`, answer);
}

function scopeIn(scope: JsonValue | undefined): string {
  if (scope === undefined) return '-';
  const [kind, nodeId, channel] = ['kind', 'nodeId', 'channel'].map((name) => memberOf(scope, name));
  if (kind === 'node') return `node ${printable(nodeId)}`;
  return kind === 'channel' ? `channel ${printable(channel)}` : 'every node';
}

function parseNumber(text: string): number {
  if (!/^[1-9][0-9]{0,14}$/.test(text)) throw new InvalidArgumentError('expected a number');
  return Number(text);
}
