import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { CliError } from './cli-error.ts';
import { readEkFile } from './ek-files.ts';
import { type Connection, call, callText } from './operators-client.ts';
import { type Column, formatTable, formatTime, printable } from './table.ts';

export interface Options extends Connection {
  output: string;
}

const NODE_COLUMNS: readonly Column[] = [
  ['NODE', (node) => node.id],
  ['STATUS', (node) => node.status],
  ['IDENTITY', (node) => node.identity],
  ['ADMISSION', (node) => node.admission],
  ['STATE', (node) => node.state],
  ['CHANNEL', (node) => node.channel],
  ['LAST VERDICT', (node) => formatTime(node.lastVerdictAt)],
];

const NODE_DETAILS: readonly Column[] = [
  ...NODE_COLUMNS,
  ['ENROLLED', (node) => formatTime(node.createdAt)],
  ['EK', (node) => wordsOf(node.ekFingerprints)],
  ['AK NAME', (node) => node.akName],
  // What the machine says of itself; nothing was decided on it.
  ['SAYS IT IS', (node) => wordsOf(node.hints)],
];

const VERDICT_COLUMNS: readonly Column[] = [
  ['VERDICT', (verdict) => verdict.id],
  ['TIME (UTC)', (verdict) => formatTime(verdict.at)],
  ['NODE', (verdict) => verdict.nodeId],
  ['PURPOSE', (verdict) => verdict.purpose],
  ['DECISION', (verdict) => verdict.verdict],
  ['FACTS', (verdict) => wordsOf(verdict.facts) || undefined],
  ['REASONS', (verdict) => codesOf(verdict.reasons) || 'none'],
];

export async function listNodes(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/nodes' });
  printRows(options, NODE_COLUMNS, member(answer, 'nodes'));
}

export async function showNode(options: Options, id: string): Promise<void> {
  const node = await call(options, { method: 'GET', path: nodePath(id) });
  if (options.output === 'json' || !isJsonObject(node)) return printJson(node);
  for (const [heading, cell] of NODE_DETAILS) print(`${heading.padEnd(16)}${printable(cell(node))}`);
  print('');
  printRows(options, VERDICT_COLUMNS, node.verdicts);
}

export async function changeNode(
  options: Options,
  change: {
    id: string;
    verb: 'approve' | 'reject' | 'revoke' | 'lift-hold';
    reason?: string;
    channel?: string;
  },
): Promise<void> {
  const body: JsonObject = {};
  if (change.reason !== undefined) body.reason = change.reason;
  if (change.channel !== undefined && change.verb === 'approve') body.channel = change.channel;
  const path = `${nodePath(change.id)}/${change.verb}`;
  const node = await call(options, { method: 'POST', path, body });
  if (options.output === 'json') return printJson(node);
  print(`${change.id} is ${printable(isJsonObject(node) ? node.status : undefined)}`);
}

export async function importEks(
  options: Options,
  { files, channel }: { files: readonly string[]; channel: string },
): Promise<void> {
  const entries = (await Promise.all(files.map(readEkFile))).flat();
  if (entries.length === 0) throw new CliError('the files hold no endorsement key');
  const body = { channel, entries: entries.map(({ fingerprint, comment }) => ({ fingerprint, comment })) };
  const answer = await call(options, { method: 'POST', path: '/admin/v1/eks', body });
  if (options.output === 'json' || !isJsonObject(answer)) return printJson(answer);
  print(`${printable(answer.added)} imported for ${channel}, ${printable(answer.known)} were known already`);
}

export async function listEks(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/eks' });
  const columns: readonly Column[] = [
    ['EK FINGERPRINT', (ek) => ek.fingerprint],
    ['CHANNEL', (ek) => ek.channel],
    ['COMMENT', (ek) => ek.comment],
  ];
  printRows(options, columns, member(answer, 'eks'));
}

export async function listVerdicts(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/admin/v1/verdicts' });
  printRows(options, VERDICT_COLUMNS, member(answer, 'verdicts'));
}

export async function exportEvidence(options: Options, id: string): Promise<void> {
  const path = `/admin/v1/verdicts/${encodeURIComponent(id)}/evidence`;
  print(await callText(options, { method: 'GET', path }));
}

export async function showGrantKey(options: Options): Promise<void> {
  printJson(await call(options, { method: 'GET', path: '/admin/v1/grant-keys' }));
}

export async function showStatus(options: Options): Promise<void> {
  await call(options, { method: 'GET', path: '/readyz' });
  print('ready: a node that comes now can boot');
}

function wordsOf(value: JsonValue | undefined): string {
  return typeof value === 'object' && value !== null ? Object.values(value).map(String).join(', ') : '';
}

function nodePath(id: string): string {
  return `/admin/v1/nodes/${encodeURIComponent(id)}`;
}

function member(answer: JsonValue, name: string): JsonValue | undefined {
  return isJsonObject(answer) ? answer[name] : undefined;
}

function printRows(options: Options, columns: readonly Column[], rows: JsonValue | undefined): void {
  const list = Array.isArray(rows) ? rows : [];
  if (options.output === 'json') printJson(list);
  else print(formatTable(columns, list));
}

function codesOf(findings: JsonValue | undefined): string {
  return Array.isArray(findings)
    ? findings.map((finding) => (isJsonObject(finding) ? String(finding.code) : '')).join(' ')
    : '';
}

function printJson(value: JsonValue): void {
  print(JSON.stringify(value, null, 2));
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}
