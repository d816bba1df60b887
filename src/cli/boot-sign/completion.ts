import { Command } from 'commander';
import { completionScript, SHELLS } from '../completion.ts';
import type { CommandContext } from './command.ts';

export function createCompletionCommand({ stdout }: CommandContext): Command {
  const completion = new Command('completion').description('complete commands and options in a shell');
  for (const shell of SHELLS)
    completion
      .command(shell)
      .description(`print what makes ${shell} complete commands and options`)
      .action(() => {
        stdout.write(`${completionScript(completion.parent ?? completion, shell)}\n`);
      });
  return completion;
}
