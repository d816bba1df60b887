import { Command, CommanderError } from 'commander';
import { systemClock } from '../../core/clock.ts';
import type { CommandContext } from './command.ts';
import { createInitCommand } from './init.ts';
import { createKeysCommand } from './keys.ts';
import { describeFailure, EXIT } from './outcome.ts';
import { createPublishCommand } from './publish.ts';
import { createRefreshCommand } from './refresh.ts';
import { createReleaseCommand } from './release.ts';
import { createStage0Command } from './stage0.ts';
import { createVerifyCommand } from './verify.ts';

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
    createStage0Command,
    createReleaseCommand,
    createPublishCommand,
    createRefreshCommand,
    createVerifyCommand,
  ])
    program.addCommand(create(context));
  for (const command of [program, ...program.commands])
    command.exitOverride().configureOutput({
      writeOut: (text) => context.stdout.write(text),
      writeErr: (text) => context.stderr.write(text),
    });
  return program;
}

function report(context: CommandContext, error: unknown, args: readonly string[]): number {
  const { exitCode, code, message } = describeFailure(error);
  const json = /(?:^| )(?:-o|--output)[ =]json(?: |$)/.test(args.join(' '));
  context.stderr.write(
    json ? `${JSON.stringify({ error: { code, message } })}\n` : `boot-sign: ${message} (${code})\n`,
  );
  return exitCode;
}
