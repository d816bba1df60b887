import { Command, Option } from 'commander';
import { messageOf } from '../core/errors.ts';
import { CliError } from './boot-admin/cli-error.ts';
import { OUTPUT_FORMATS } from './boot-admin/output.ts';
import { printable } from './boot-admin/table.ts';

/** sysexits.h: what this command was asked is not something it does, or could not be done. */
const EXIT_USAGE = 64;
const EXIT_FAILED = 70;

interface Noun {
  name: string;
  description: string;
  /** `register` adds arguments, options and commands, and runs them. */
  load(): Promise<{ register(noun: Command): void }>;
}

const NOUNS: readonly Noun[] = [
  {
    name: 'verify-evidence',
    description:
      'decide on an evidence file; exit status 0 accept, 1 refuse, 2 hold, 64 not an evidence file',
    load: () => import('./boot-admin/verify-evidence.ts'),
  },
  {
    name: 'eventlog',
    description: 'look into TCG event logs',
    load: () => import('./boot-admin/eventlog.ts'),
  },
  {
    name: 'nodes',
    description: 'the machines this server knows',
    load: () => import('./boot-admin/nodes.ts'),
  },
  {
    name: 'ek',
    description: 'the admission list of endorsement keys',
    load: () => import('./boot-admin/eks.ts'),
  },
  {
    name: 'trust-anchors',
    description: 'the TPM manufacturers whose EK certificates count',
    load: () => import('./boot-admin/trust-anchors.ts'),
  },
  {
    name: 'verdicts',
    description: 'what was decided, and on what',
    load: () => import('./boot-admin/verdicts.ts'),
  },
  {
    name: 'grant-key',
    description: 'print the key that the root metadata must name, for "boot-sign init --grant-key"',
    load: () => import('./boot-admin/grant-key.ts'),
  },
  {
    name: 'status',
    description: 'whether a node that comes now could boot, and what is in the way',
    load: () => import('./boot-admin/status.ts'),
  },
];

const program = new Command('boot-admin')
  .description('operate a boot server, and verify its evidence anywhere')
  .option('--socket <path>', "the boot server's operators' socket", process.env.BOOTWARD_ADMIN_SOCKET)
  .addOption(new Option('-o, --output <format>', 'what to print').choices(OUTPUT_FORMATS).default('table'))
  .configureHelp({ showGlobalOptions: true })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : EXIT_USAGE));

// Offline commands load nothing that talks to a server, and the others no verifier: only what is named is read.
const words = process.argv.slice(2);
for (const { name, description, load } of NOUNS) {
  const noun = program.command(name).description(description);
  if (words.includes(name)) (await load()).register(noun);
}

// A reader that has seen enough, as in `| head`, ends the command without a stack trace.
process.stdout.on('error', () => process.exit(EXIT_FAILED));

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`boot-admin: ${printable(messageOf(error))}\n`);
  process.exitCode = error instanceof CliError ? error.exitCode : EXIT_FAILED;
}
