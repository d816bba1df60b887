import { Command, CommanderError } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { toPrintable } from '../../core/printable.ts';
import { describeUnknownError } from '../../core/unknown-error.ts';
import { toAsciiJson } from '../documents.ts';
import { createAdoptCommand } from './adopt.ts';
import { createAuditCommand } from './audit.ts';
import { createChannelCommand } from './channel.ts';
import { type CommandContext, withExamples } from './command.ts';
import { createCompletionCommand } from './completion.ts';
import { createInitCommand } from './init.ts';
import { createInspectCommand } from './inspect.ts';
import { createKeysCommand, createNewKeyCommand, createPublicKeyCommand } from './keys.ts';
import { describeFailure, EXIT } from './outcome.ts';
import { createMergeCommand, createPendingCommand } from './pending.ts';
import { createPredictCommand } from './predict.ts';
import { createPublishCommand } from './publish.ts';
import { createRefreshCommand } from './refresh.ts';
import { createReleaseCommand } from './release.ts';
import { createRequestsCommand } from './requests.ts';
import { createRootCommand } from './root.ts';
import { createRpiImageCommand } from './rpi-image.ts';
import { createSignCommand } from './sign.ts';
import { createSignEfiCommand } from './sign-efi.ts';
import { createStage0Command } from './stage0.ts';
import { createVerifyCommand } from './verify.ts';
import { createWithdrawCommand } from './withdraw.ts';

const DEFAULT_CONTEXT: CommandContext = {
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  environment: process.env,
};

/** By command; --help shows them. */
const EXAMPLES: readonly (readonly [string, ...string[]])[] = [
  ['init', 'init signing --grant-key grant-keys.json --channel demo'],
  ['keys', 'keys signing'],
  ['new-key', 'new-key alice.json', 'new-key alice.json --scheme ecdsa-sha2-nistp256'],
  [
    'public-key',
    'public-key "pkcs11:token=alice;object=release?module-path=/usr/lib/softhsm/libsofthsm2.so" > alice.pub.json',
  ],
  [
    'root init',
    'root init signing --grant-key grant-keys.json --key root=alice.pub.json --key root=bob.pub.json --key root=carol.pub.json --threshold root=2 --key targets=alice.pub.json --key snapshot=online.pub.json --key timestamp=online.pub.json --key stage0=dave.pub.json --key channel-demo=erin.pub.json',
  ],
  ['root show', 'root show signing'],
  ['root add-key', 'root add-key signing --role channel-demo --key alice.pub.json'],
  ['root remove-key', 'root remove-key signing --role channel-demo --key-id 5b3cf1d2 --threshold 2'],
  ['root rotate', 'root rotate signing --key-id 5b3cf1d2 --key new.pub.json'],
  ['root threshold', 'root threshold signing --role channel-demo --threshold 2'],
  ['root grant-key', 'root grant-key signing --add grant-keys.json'],
  ['channel add', 'channel add signing --channel edge --key alice.pub.json --key bob.pub.json --threshold 2'],
  [
    'stage0',
    'stage0 signing --base build/stage0 --build 1 --server-url https://boot.example:8444 --server-ca ca.pem',
  ],
  [
    'release',
    'release signing --channel demo --version 1 --name "demo 1" --kernel vmlinuz --initramfs initrd --cmdline quiet',
  ],
  ['withdraw', 'withdraw signing --channel demo --version 41 --dry-run', 'withdraw signing --build 7'],
  [
    'sign',
    'sign targets-5.json --root 1.root.json --key alice.json --dry-run',
    'sign targets-5.json --root 1.root.json --key alice.json',
    'sign root-1.json --new-repository --key alice.json',
  ],
  ['pending list', 'pending list signing'],
  ['merge', 'merge signing --name targets-5 --from from-alice.json --from from-bob.json'],
  ['publish', 'publish signing --socket bootward-data/operators.sock'],
  ['refresh', 'refresh signing', 'refresh signing --all'],
  ['verify', 'verify signing', 'verify signing --root 1.root.json -o yaml'],
  ['predict', 'predict stage0.efi'],
  [
    'sign-efi',
    'sign-efi grub.efi --key db.key --certificate db.crt --out grub-signed.efi',
    'sign-efi grub.efi --service /run/boot-signer/boot-signer.sock --certificate db.crt --time 1790000000 --out grub-signed.efi',
  ],
  [
    'rpi-image',
    'rpi-image boot.img --key pi.pem --out boot.sig',
    'rpi-image boot.img --service /run/boot-signer/boot-signer.sock --public-key pi.pub.pem',
  ],
  ['adopt', 'adopt signing --service /run/boot-signer/boot-signer.sock'],
  ['inspect', 'inspect signing/metadata/timestamp.json', 'inspect stage0.efi -o json'],
];

function addExamples(program: Command, name: string, examples: readonly string[]): void {
  const command = name
    .split(' ')
    .reduce<Command | undefined>(
      (parent, word) => parent?.commands.find((child) => child.name() === word),
      program,
    );
  if (command === undefined) throw new Error(`there is no command ${name}`);
  withExamples(command, ...examples);
}

/** Runs one command and answers its exit code; never throws, never exits. */
export async function runBootSign(
  args: readonly string[],
  context: CommandContext = DEFAULT_CONTEXT,
): Promise<number> {
  try {
    await createProgram(context).parseAsync(args, { from: 'user' });
    return EXIT.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    return report(context, error, args);
  }
}

export function createProgram(context: CommandContext = DEFAULT_CONTEXT): Command {
  const program = new Command('boot-sign').description(
    'the signing side of Bootward: keys, releases, stage-0',
  );
  for (const create of [
    createInitCommand,
    createKeysCommand,
    createNewKeyCommand,
    createPublicKeyCommand,
    createRootCommand,
    createChannelCommand,
    createStage0Command,
    createReleaseCommand,
    createWithdrawCommand,
    createSignCommand,
    createPendingCommand,
    createMergeCommand,
    createRequestsCommand,
    createAuditCommand,
    createAdoptCommand,
    createPublishCommand,
    createRefreshCommand,
    createVerifyCommand,
    createInspectCommand,
    createPredictCommand,
    createSignEfiCommand,
    createRpiImageCommand,
    createCompletionCommand,
  ])
    program.addCommand(create(context));
  for (const [name, ...examples] of EXAMPLES) addExamples(program, name, examples);
  return withContext(program, context);
}

function withContext(command: Command, context: CommandContext): Command {
  for (const child of command.commands) withContext(child, context);
  return command.exitOverride().configureOutput({
    writeOut: (text) => context.stdout.write(text),
    // It quotes what was typed, such as names of files that a shell found.
    writeErr: (text) =>
      context.stderr.write(
        text
          .split('\n')
          .map((line) => toPrintable(line))
          .join('\n'),
      ),
  });
}

function report(context: CommandContext, error: unknown, args: readonly string[]): number {
  const { exitCode, code, message } = describeFailure(error);
  const json = /(?:^| )(?:-o|--output)[ =]json(?: |$)/.test(args.join(' '));
  context.stderr.write(
    json
      ? `${toAsciiJson(JSON.stringify({ error: { code, message } }))}\n`
      : `boot-sign: ${code === 'internal' ? describeUnknownError(error, context.environment) : toPrintable(message)} (${toPrintable(code)})\n`,
  );
  return exitCode;
}
