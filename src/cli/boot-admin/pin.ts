import { type Command, Option } from 'commander';
import { parseCount } from './channel-words.ts';
import { CliError } from './cli-error.ts';
import { call } from './operators-client.ts';
import { type Options, printSentence } from './output.ts';

export function register(pin: Command): void {
  pin
    .argument('<node>', 'its id')
    .addOption(new Option('--version <n>', 'of a listed release').argParser(parseCount).conflicts('off'))
    .option('--off', 'give it what its channel chooses again')
    .action((id: string, _options, command: Command) => change(command.optsWithGlobals(), id));
}

async function change(options: Options & { version?: number; off?: true }, id: string): Promise<void> {
  const { version, off } = options;
  if (version === undefined && off === undefined)
    throw new CliError('say which release: --version N, or --off', { exitCode: 64 });
  const path = `/admin/v1/nodes/${encodeURIComponent(id)}/${off ? 'unpin' : 'pin'}`;
  const body = version === undefined ? {} : { version };
  const node = await call(options, { method: 'POST', path, body });
  const what = version === undefined ? 'gets what its channel chooses' : `is pinned to version ${version}`;
  await printSentence(options, `${id} ${what}`, node);
}
