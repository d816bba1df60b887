import type { Command } from 'commander';
import type { JsonObject, JsonValue } from '../../core/strict-json.ts';
import { CliError } from './cli-error.ts';
import { call, RefusedError } from './operators-client.ts';
import { memberOf, type Options, print, printDocument, printRows } from './output.ts';
import { formatTable, printable } from './table.ts';
import { ANCHOR_COLUMNS } from './trust-anchor-columns.ts';

export function register(anchors: Command): void {
  anchors
    .command('list')
    .description('roots, other CAs and CRLs that are in force')
    .action((_options, command: Command) => list(command.optsWithGlobals()));
  anchors
    .command('check')
    .argument('<files...>', 'certificates and CRLs (PEM or DER), or folders of them')
    .option('--ek <file>', 'also say whether this EK certificate would be certified by them')
    .description(
      'offline: what these files are, and which of the roots we know; exit status 1 if not all is well',
    )
    .action(async (files: string[], _options, command: Command) => {
      const { check } = await import('./trust-anchor-check.ts');
      process.exitCode = await check(command.optsWithGlobals(), files);
    });
  anchors
    .command('add')
    .argument('<files...>', 'certificates and CRLs (PEM or DER), or folders of them')
    .option('--accept-unknown', 'roots that keys/tpm-vendors.json does not know are meant')
    .option(
      '--accept <sha256>',
      'this root is meant although another of its name is known; repeat it',
      collect,
    )
    .option('--reason <text>', 'kept in the audit log')
    .description('believe these manufacturers from the next enrolment on')
    .action((files: string[], _options, command: Command) => add(command.optsWithGlobals(), files));
  anchors
    .command('remove')
    .argument('<sha256>', 'of a certificate or CRL that was added, or how it begins')
    .option('--reason <text>', 'kept in the audit log')
    .description('stop believing it; nodes stay, and are named if nothing vouches for them any more')
    .action((sha256: string, _options, command: Command) => remove(command.optsWithGlobals(), sha256));
}

function collect(value: string, before: readonly string[] = []): string[] {
  return [...before, value];
}

const PATH = '/admin/v1/trust-anchors';

async function list(options: Options): Promise<void> {
  const columns = ANCHOR_COLUMNS.toSpliced(4, 0, ['SOURCE', (anchor) => anchor.source]);
  await printRows(
    options,
    columns,
    memberOf(await call(options, { method: 'GET', path: PATH }), 'trustAnchors'),
  );
}

interface AddOptions extends Options {
  acceptUnknown?: boolean;
  accept?: string[];
  reason?: string;
}

async function add(options: AddOptions, paths: readonly string[]): Promise<void> {
  const { readAnchorFiles } = await import('./anchor-files.ts');
  const { items, faults } = await readAnchorFiles(paths);
  const [fault] = faults;
  if (fault !== undefined) throw new CliError(`${fault.file}: ${fault.fault}; nothing was added`);
  if (items.length === 0) throw new CliError('the files hold no certificate and no CRL');
  const body: JsonObject = {
    bundle: Buffer.from(items.map(toPem).join('')).toString('base64'),
    acceptUnknown: options.acceptUnknown === true,
    acceptDifferent: options.accept ?? [],
  };
  if (options.reason !== undefined) body.reason = options.reason;
  const answer = await call(options, { method: 'POST', path: PATH, body }).catch(explainRefusal);
  if (options.output !== 'table') return printDocument(options, answer);
  const added = memberOf(answer, 'added');
  if (Array.isArray(added) && added.length > 0) print(formatTable(ANCHOR_COLUMNS, added));
  print(
    `${Array.isArray(added) ? added.length : 0} added, ${printable(memberOf(answer, 'known'))} were there`,
  );
}

/** Which roots need a word, on standard error with their whole hash, so that it can be compared and copied. */
function explainRefusal(cause: unknown): never {
  const roots = cause instanceof RefusedError ? cause.problem.roots : undefined;
  if (!Array.isArray(roots)) throw cause;
  const columns = ANCHOR_COLUMNS.with(0, ['SHA-256', (anchor) => anchor.sha256]);
  process.stderr.write(`${formatTable(columns, roots)}\n`);
  const advice =
    'compare them with what the manufacturers publish, then: --accept-unknown for unknown ones, --accept SHA256 for each different one';
  throw new CliError(`${(cause as Error).message}; ${advice}`, { cause });
}

async function remove(options: Options & { reason?: string }, beginning: string): Promise<void> {
  const sha256 = await wholeHash(options, beginning);
  const query = options.reason === undefined ? '' : `?reason=${encodeURIComponent(options.reason)}`;
  const answer = await call(options, { method: 'DELETE', path: `${PATH}/${sha256}${query}` });
  if (options.output !== 'table') return printDocument(options, answer);
  const nodes = memberOf(answer, 'nodesWithoutPath');
  const subject = printable(memberOf(memberOf(answer, 'removed') ?? null, 'subject'));
  print(`removed ${subject}`);
  if (!Array.isArray(nodes) || nodes.length === 0) return;
  print(
    `nothing vouches any more for the EK certificates of ${nodes.length} nodes; they stay until you revoke them:`,
  );
  for (const node of nodes) print(printable(node));
}

async function wholeHash(options: Options, beginning: string): Promise<string> {
  if (!/^[0-9a-f]{8,64}$/.test(beginning)) throw new CliError('a hash is 8 to 64 lower-case hex digits');
  if (beginning.length === 64) return beginning;
  const all = memberOf(await call(options, { method: 'GET', path: PATH }), 'trustAnchors');
  const hashes = (Array.isArray(all) ? all : [])
    .map((anchor: JsonValue) => String(memberOf(anchor, 'sha256')))
    .filter((sha256) => sha256.startsWith(beginning));
  const [only, ...more] = hashes;
  if (only === undefined || more.length > 0)
    throw new CliError(`${hashes.length} certificates or CRLs begin with ${beginning}`);
  return only;
}

function toPem({ kind, der }: { kind: 'certificate' | 'crl'; der: Uint8Array }): string {
  const label = kind === 'crl' ? 'X509 CRL' : 'CERTIFICATE';
  return `-----BEGIN ${label}-----\n${Buffer.from(der).toString('base64')}\n-----END ${label}-----\n`;
}
