import { Command, CommanderError } from 'commander';
import { systemClock } from '../../core/clock.ts';
import { createChannelCommand } from './channel.ts';
import type { CommandContext } from './command.ts';
import { createInitCommand } from './init.ts';
import { createKeysCommand, createNewKeyCommand } from './keys.ts';
import { describeFailure, EXIT } from './outcome.ts';
import { createMergeCommand, createPendingCommand } from './pending.ts';
import { createPublishCommand } from './publish.ts';
import { createRefreshCommand } from './refresh.ts';
import { createReleaseCommand } from './release.ts';
import { createRootCommand } from './root.ts';
import { createSignCommand } from './sign.ts';
import { createStage0Command } from './stage0.ts';
import { createVerifyCommand } from './verify.ts';
import { createWithdrawCommand } from './withdraw.ts';

const DEFAULT_CONTEXT: CommandContext = {
  stdout: process.stdout,
  stderr: process.stderr,
  clock: systemClock,
  environment: process.env,
};

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

function createProgram(context: CommandContext): Command {
  const program = new Command('boot-sign').description(
    'the signing side of Bootward: keys, releases, stage-0',
  );
  for (const create of [
    createInitCommand,
    createKeysCommand,
    createNewKeyCommand,
    createRootCommand,
    createChannelCommand,
    createStage0Command,
    createReleaseCommand,
    createWithdrawCommand,
    createSignCommand,
    createPendingCommand,
    createMergeCommand,
    createPublishCommand,
    createRefreshCommand,
    createVerifyCommand,
  ])
    program.addCommand(create(context));
  return withContext(program, context);
}

function withContext(command: Command, context: CommandContext): Command {
  for (const child of command.commands) withContext(child, context);
  return command.exitOverride().configureOutput({
    writeOut: (text) => context.stdout.write(text),
    writeErr: (text) => context.stderr.write(text),
  });
}

function report(context: CommandContext, error: unknown, args: readonly string[]): number {
  const { exitCode, code, message } = describeFailure(error);
  const json = /(?:^| )(?:-o|--output)[ =]json(?: |$)/.test(args.join(' '));
  context.stderr.write(
    json ? `${JSON.stringify({ error: { code, message } })}\n` : `boot-sign: ${message} (${code})\n`,
  );
  return exitCode;
}
