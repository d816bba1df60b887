import { Command } from 'commander';
import { addChannel } from '../../signing/tuf/edit-trust.ts';
import { type ChangeOptions, changeTrust } from './change-trust.ts';
import { type CommandContext, createSigningCommand } from './command.ts';
import { toChannel, toFiles, toPositiveInteger } from './options.ts';
import { loadPublicKey } from './public-keys.ts';

interface AddOptions extends ChangeOptions {
  readonly channel: string;
  readonly key: readonly string[];
  readonly threshold: number;
}

export function createChannelCommand(context: CommandContext): Command {
  return new Command('channel').description('the lines of releases').addCommand(
    createSigningCommand('add', 'a new channel, empty')
      .requiredOption('--channel <NAME>', 'its name', toChannel)
      .requiredOption('--key <FILE>', 'a public key that may sign it; more than once for several', toFiles)
      .option('--threshold <N>', 'how many of them must sign', toPositiveInteger, 1)
      .option('--dry-run', 'say what would change; sign nothing')
      .action(async (folder: string, options: AddOptions) => {
        const { channel, threshold } = options;
        const keys = await Promise.all(options.key.map(loadPublicKey));
        return changeTrust(context, {
          folder,
          options,
          edit: (trust) => addChannel(trust, channel, { keys, threshold }),
        });
      }),
  );
}
