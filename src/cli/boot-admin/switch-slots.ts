import type { Command } from 'commander';
import { isJsonObject } from '../../core/strict-json.ts';
import { channelPath, slotWords } from './channel-words.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, printSentence } from './output.ts';
import { printable } from './table.ts';

export function registerSwitch(verb: Command, path: 'promote' | 'rollback'): void {
  verb
    .argument('<channel>', 'its name')
    .action((name: string, _options, command: Command) =>
      switchSlots(command.optsWithGlobals(), { name, path }),
    );
}

async function switchSlots(options: Options, { name, path }: { name: string; path: string }): Promise<void> {
  const channel = await call(options, { method: 'POST', path: `${channelPath(name)}/${path}`, body: {} });
  const active = memberOf(channel, 'active') === 'B' ? 'B' : 'A';
  const what = isJsonObject(channel) ? slotWords(channel, active) : printable(channel);
  await printSentence(
    options,
    `${name}: slot ${active} is active (${what}); nodes get it at their next boot`,
    channel,
  );
}
