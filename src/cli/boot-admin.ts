import { Command } from 'commander';
import { messageOf } from '../core/errors.ts';
import { CliError } from './boot-admin/cli-error.ts';

/** sysexits.h: what this command was asked is not something it does, or could not be done. */
const EXIT_USAGE = 64;
const EXIT_FAILED = 70;

const program = new Command('boot-admin')
  .description('operate a boot server, and verify its evidence anywhere')
  .option('--socket <path>', "the boot server's operators' socket", process.env.BOOTWARD_ADMIN_SOCKET)
  .option('-o, --output <format>', 'table or json', 'table')
  .configureHelp({ showGlobalOptions: true })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));

// Offline commands load nothing of the server; each file is read when its command runs.
program
  .command('verify-evidence')
  .argument('<file>', 'an evidence file, or - for standard input')
  .option('--jsonl', 'one document a line in, one verdict a line out')
  .description('decide on an evidence file; exit status 0 accept, 1 refuse, 2 hold, 64 not an evidence file')
  .action(async (file: string, options: { jsonl?: boolean }) => {
    const { runVerifyEvidence } = await import('./verify-evidence.ts');
    process.exitCode = await runVerifyEvidence({ file, jsonl: options.jsonl === true });
  });

program
  .command('eventlog')
  .description('look into TCG event logs')
  .command('replay')
  .argument('<file>', 'a binary event log, or - for standard input')
  .description('print the PCR values that a log replays to, for every bank')
  .action(async (file: string) => {
    const { runEventLogReplay } = await import('./eventlog-replay.ts');
    process.exitCode = await runEventLogReplay({ file });
  });

const online = async () => import('./boot-admin/commands.ts');

const nodes = program.command('nodes').description('the machines this server knows');
nodes
  .command('list')
  .description('every node with its three facts')
  .action(async () => (await online()).listNodes(program.opts()));
nodes
  .command('show')
  .argument('<node>', 'its id')
  .description('one node and its last verdicts')
  .action(async (id: string) => (await online()).showNode(program.opts(), id));
for (const [verb, description] of [
  ['approve', 'admit a pending node, after comparing its EK fingerprint on its own console'],
  ['reject', 'turn a pending node away'],
  ['revoke', 'end a node: no challenge, no grant, not under any of its keys'],
  ['lift-hold', 'accept that TPM counters went back or TPM firmware changed: the next evidence starts anew'],
] as const)
  nodes
    .command(verb)
    .argument('<node>', 'its id')
    .option('--reason <text>', 'kept in the audit log')
    .option('--channel <name>', verb === 'approve' ? 'the channel it gets releases from' : 'not used')
    .description(description)
    .action(async (id: string, options: { reason?: string; channel?: string }) =>
      (await online()).changeNode(program.opts(), { id, verb, ...options }),
    );

const ek = program.command('ek').description('the admission list of endorsement keys');
ek.command('import')
  .argument('<files...>', 'EK certificates (PEM or DER), or text files of fingerprints in hex')
  .requiredOption('--channel <name>', 'the channel their nodes get releases from')
  .description('let these machines enrol by themselves')
  .action(async (files: string[], options: { channel: string }) =>
    (await online()).importEks(program.opts(), { files, channel: options.channel }),
  );
ek.command('list')
  .description('what was imported')
  .action(async () => (await online()).listEks(program.opts()));

const verdicts = program.command('verdicts').description('what was decided, and on what');
verdicts
  .command('list')
  .description('the latest verdicts')
  .action(async () => (await online()).listVerdicts(program.opts()));
verdicts
  .command('export')
  .argument('<verdict>', 'its number')
  .description('print the evidence file of a verdict')
  .action(async (id: string) => (await online()).exportEvidence(program.opts(), id));

program
  .command('grant-key')
  .description('print the key that the root metadata must name, for "boot-sign init --grant-key"')
  .action(async () => (await online()).showGrantKey(program.opts()));
program
  .command('status')
  .description('whether a node that comes now could boot, and what is in the way')
  .action(async () => (await online()).showStatus(program.opts()));

// A reader that has seen enough, as in `| head`, ends the command without a stack trace.
process.stdout.on('error', () => process.exit(EXIT_FAILED));

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`boot-admin: ${messageOf(error)}\n`);
  process.exitCode = error instanceof CliError ? error.exitCode : EXIT_FAILED;
}
