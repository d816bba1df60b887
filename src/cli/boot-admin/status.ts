import type { Command } from 'commander';
import { call } from './operators-client.ts';
import { type Options, printSentence } from './output.ts';

export function register(status: Command): void {
  status.action((_options, command: Command) => showStatus(command.optsWithGlobals()));
}

async function showStatus(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/readyz' });
  await printSentence(options, 'ready: a node that comes now can boot', answer);
}
