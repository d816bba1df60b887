import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { builtInPolicy } from '../../attestation/policy/policy.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { CliError } from './cli-error.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, print, printDocument, printRows, printSentence } from './output.ts';
import { type Column, codesOf, formatTime, printable, wordsOf } from './table.ts';

const PATH = '/admin/v1/policies';
const EXIT_WOULD_BE_LOST = 1;

export function register(policy: Command): void {
  policy
    .command('apply')
    .argument('<file>', 'a policy document (docs/policy.md)')
    .description('put it in force for its channels; its version must be higher than any before')
    .action((file: string, _options, command: Command) => apply(command.optsWithGlobals(), file));
  policy
    .command('test')
    .argument('<file>', 'a policy document')
    .option('--node <id...>', 'only these nodes')
    .description('hold it against the last evidence of each node; exit status 1 if it would lose one')
    .action((file: string, _options, command: Command) => tryOut(command.optsWithGlobals(), file));
  policy
    .command('list')
    .description('what is in force, and for which channels')
    .action((_options, command: Command) => list(command.optsWithGlobals()));
  policy
    .command('show')
    .argument('<name>', 'of a policy')
    .option('--version <number>', 'another than the one in force')
    .description('print its document as it was applied')
    .action((name: string, _options, command: Command) => show(command.optsWithGlobals(), name));
  policy
    .command('history')
    .argument('<name>', 'of a policy')
    .description('every version there ever was')
    .action((name: string, _options, command: Command) => history(command.optsWithGlobals(), name));
  policy
    .command('withdraw')
    .argument('<name>', 'of a policy')
    .option('--reason <text>', 'kept in the audit log')
    .description('let its channels fall back to the built-in policy')
    .action((name: string, _options, command: Command) => withdraw(command.optsWithGlobals(), name));
  policy
    .command('built-in')
    .description('offline: print the policy of channels that no document names, to start from')
    .action(() => printBuiltIn());
}

const POLICY_COLUMNS: readonly Column[] = [
  ['POLICY', (policy) => policy.name],
  ['VERSION', (policy) => policy.version],
  ['CHANNELS', (policy) => wordsOf(policy.channels)],
  ['APPLIED (UTC)', (policy) => formatTime(policy.appliedAt)],
];

const RESULT_COLUMNS: readonly Column[] = [
  ['NODE', (result) => result.nodeId],
  ['NOW', (result) => verdictIn(result.inForce)],
  ['WITH THIS', (result) => verdictIn(result.candidate)],
  [
    'REASONS',
    (result) => (isJsonObject(result.candidate ?? null) ? reasonsIn(result.candidate) : result.why),
  ],
];

async function apply(options: Options, file: string): Promise<void> {
  const body = { document: await readDocument(file) };
  const answer = await call(options, { method: 'POST', path: PATH, body });
  const [name, version, outcome] = ['name', 'version', 'outcome'].map((key) =>
    printable(memberOf(answer, key)),
  );
  const sentence = outcome === 'applied' ? 'is in force' : 'was in force already';
  await printSentence(options, `policy ${name}, version ${version}, ${sentence}`, answer);
}

async function tryOut(options: Options & { node?: string[] }, file: string): Promise<void> {
  const body: JsonObject = { document: await readDocument(file) };
  if (options.node !== undefined) body.nodeIds = options.node;
  const answer = await call(options, { method: 'POST', path: `${PATH}/test`, body });
  const results = memberOf(answer, 'results');
  await printRows(options, RESULT_COLUMNS, results);
  const isLost = (result: JsonValue) =>
    isJsonObject(result) &&
    verdictIn(result.inForce) === 'accept' &&
    verdictIn(result.candidate) !== 'accept';
  if (Array.isArray(results) && results.some(isLost)) process.exitCode = EXIT_WOULD_BE_LOST;
}

async function list(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: PATH });
  await printRows(options, POLICY_COLUMNS, memberOf(answer, 'policies'));
}

async function show(options: Options & { version?: string }, name: string): Promise<void> {
  const versions = await versionsOf(options, name);
  const wanted = versions.find(({ version, inForce }) =>
    options.version === undefined ? inForce === true : String(version) === options.version,
  );
  if (wanted === undefined)
    throw new CliError(`policy ${name} has no version ${options.version ?? 'in force'}`);
  if (options.output === 'table') print(String(wanted.document).trimEnd());
  else await printDocument(options, wanted);
}

async function history(options: Options, name: string): Promise<void> {
  const columns: readonly Column[] = [
    ['VERSION', (policy) => policy.version],
    ['IN FORCE', (policy) => policy.inForce],
    ['CHANNELS', (policy) => wordsOf(policy.channels)],
    ['APPLIED (UTC)', (policy) => formatTime(policy.appliedAt)],
  ];
  await printRows(options, columns, await versionsOf(options, name));
}

async function withdraw(options: Options & { reason?: string }, name: string): Promise<void> {
  const body: JsonObject = options.reason === undefined ? {} : { reason: options.reason };
  const answer = await call(options, { method: 'POST', path: `${pathOf(name)}/withdraw`, body });
  await printSentence(options, `policy ${name} is withdrawn`, answer);
}

async function printBuiltIn(): Promise<void> {
  const { formatPolicy } = await import('../../attestation/policy/format-policy.ts');
  const policy = builtInPolicy({ eventLog: 'required', secureBoot: 'required' });
  print(formatPolicy({ ...policy, name: 'my-policy', channels: ['my-channel'] }).trimEnd());
}

async function versionsOf(options: Options, name: string): Promise<JsonObject[]> {
  const answer = await call(options, { method: 'GET', path: pathOf(name) });
  const versions = memberOf(answer, 'versions');
  return Array.isArray(versions) ? versions.filter(isJsonObject) : [];
}

async function readDocument(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new CliError(`${file} cannot be read: ${messageOf(cause)}`, { cause });
  }
}

function verdictIn(verdict: JsonValue | undefined): string | undefined {
  const word = verdict === undefined ? undefined : memberOf(verdict, 'verdict');
  return word === undefined ? undefined : String(word);
}

function reasonsIn(verdict: JsonValue | undefined): string {
  return (verdict !== undefined && codesOf(memberOf(verdict, 'reasons'))) || 'none';
}

function pathOf(name: string): string {
  return `${PATH}/${encodeURIComponent(name)}`;
}
