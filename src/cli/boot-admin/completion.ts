import type { Command } from 'commander';
import { completionScript, SHELLS } from '../completion.ts';
import { print } from './output.ts';

export function register(completion: Command): void {
  for (const shell of SHELLS)
    completion
      .command(shell)
      .description(`print what makes ${shell} complete commands and options`)
      .action((_options, command: Command) =>
        print(completionScript(command.parent?.parent ?? command, shell)),
      );
}
