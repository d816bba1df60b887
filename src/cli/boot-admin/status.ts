import type { Command } from 'commander';
import { call } from './operators-client.ts';
import { memberOf, type Options, printSentence } from './output.ts';
import { printable } from './table.ts';

export function register(status: Command): void {
  status.action((_options, command: Command) => showStatus(command.optsWithGlobals()));
}

async function showStatus(options: Options): Promise<void> {
  const answer = await call(options, { method: 'GET', path: '/readyz' });
  const warnings = memberOf(answer, 'warnings');
  const lines = Array.isArray(warnings) ? warnings.map((warning) => `warning: ${printable(warning)}`) : [];
  await printSentence(options, ['ready: a node that comes now can boot', ...lines].join('\n'), answer);
}
