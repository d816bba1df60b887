import { CommanderError } from 'commander';
import { messageOf } from '../core/errors.ts';
import { CliError } from './boot-admin/cli-error.ts';
import { createProgram } from './boot-admin/program.ts';
import { printable } from './boot-admin/table.ts';

/** sysexits.h: what this command was asked is not something it does, or could not be done. */
const EXIT_USAGE = 64;
const EXIT_FAILED = 70;

// A reader that has seen enough, as in `| head`, ends the command without a stack trace.
process.stdout.on('error', () => process.exit(EXIT_FAILED));

try {
  const program = await createProgram(process.argv.slice(2));
  await program.parseAsync();
} catch (error) {
  process.exitCode = report(error);
}

/** Commander has said what was wrong already. */
function report(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  process.stderr.write(`boot-admin: ${printable(messageOf(error))}\n`);
  return error instanceof CliError ? error.exitCode : EXIT_FAILED;
}
