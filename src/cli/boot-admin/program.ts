import { Command, Option } from 'commander';
import { OUTPUT_FORMATS } from './output.ts';

interface Noun {
  name: string;
  description: string;
  /** `register` adds arguments, options and commands, and runs them. */
  load(): Promise<{ register(noun: Command): void }>;
}

/** It alone needs all the others. */
const COMPLETION = 'completion';

const NOUNS: readonly Noun[] = [
  {
    name: 'verify-evidence',
    description:
      'decide on an evidence file; exit status 0 accept, 1 refuse, 2 hold, 64 not an evidence file',
    load: () => import('./verify-evidence.ts'),
  },
  {
    name: 'eventlog',
    description: 'look into TCG event logs',
    load: () => import('./eventlog.ts'),
  },
  {
    name: 'nodes',
    description: 'the machines this server knows',
    load: () => import('./nodes.ts'),
  },
  {
    name: 'ek',
    description: 'the admission list of endorsement keys',
    load: () => import('./eks.ts'),
  },
  {
    name: 'tokens',
    description: 'permissions to enrol, each for one machine and once',
    load: () => import('./tokens.ts'),
  },
  {
    name: 'trust-anchors',
    description: 'the TPM manufacturers whose EK certificates count',
    load: () => import('./trust-anchors.ts'),
  },
  {
    name: 'verdicts',
    description: 'what was decided, and on what',
    load: () => import('./verdicts.ts'),
  },
  {
    name: 'policy',
    description: 'what evidence of the nodes of a channel must show',
    load: () => import('./policy.ts'),
  },
  {
    name: 'firmware',
    description: 'firmware that was found good after it held a node',
    load: () => import('./firmware.ts'),
  },
  {
    name: 'channels',
    description: 'how each channel chooses among the releases that its keys list',
    load: () => import('./channels.ts'),
  },
  {
    name: 'slots',
    description: 'the two releases of a channel that nodes can be given',
    load: () => import('./slots.ts'),
  },
  {
    name: 'rollout',
    description: "move a channel's nodes to another release, step by step",
    load: () => import('./rollout.ts'),
  },
  {
    name: 'promote',
    description: "make a channel's other slot the active one for all nodes, now",
    load: () => import('./promote.ts'),
  },
  {
    name: 'rollback',
    description: 'go back to the release that was active before',
    load: () => import('./rollback.ts'),
  },
  {
    name: 'pin',
    description: 'give one node one release, whatever its channel does',
    load: () => import('./pin.ts'),
  },
  {
    name: 'artifacts',
    description: "what takes room in the server's store",
    load: () => import('./artifacts.ts'),
  },
  {
    name: 'events',
    description: 'the log of what happened',
    load: () => import('./events.ts'),
  },
  {
    name: 'grant-key',
    description: 'print the key that the root metadata must name, for "boot-sign init --grant-key"',
    load: () => import('./grant-key.ts'),
  },
  {
    name: 'status',
    description: 'whether a node that comes now could boot, and what is in the way',
    load: () => import('./status.ts'),
  },
  {
    name: 'backup',
    description: 'make one file of all that the server keeps, while it runs or not',
    load: () => import('./backup.ts'),
  },
  {
    name: 'restore',
    description: 'replace the state of a server that is stopped by that of a backup',
    load: () => import('./restore.ts'),
  },
  {
    name: 'watch',
    description: 'see from outside, with nothing but a root, whether what a server serves is current',
    load: () => import('./watch.ts'),
  },
  {
    name: COMPLETION,
    description: 'complete commands and options in a shell',
    load: () => import('./completion.ts'),
  },
];

/**
 * Every noun, and the commands of those that `words` names: offline commands load nothing that talks to a
 * server, and the others no verifier.
 */
export async function createProgram(words: readonly string[]): Promise<Command> {
  const program = new Command('boot-admin')
    .description('operate a boot server, and verify its evidence anywhere')
    .option('--socket <path>', "the boot server's operators' socket", process.env.BOOTWARD_ADMIN_SOCKET)
    .addOption(new Option('-o, --output <format>', 'what to print').choices(OUTPUT_FORMATS).default('table'))
    .configureHelp({ showGlobalOptions: true })
    .exitOverride();
  for (const { name, description, load } of NOUNS) {
    const noun = program.command(name).description(description);
    if (words.includes(name) || words.includes(COMPLETION)) (await load()).register(noun);
  }
  return program;
}

/** Of every noun there is. */
export function createWholeProgram(): Promise<Command> {
  return createProgram([COMPLETION]);
}
