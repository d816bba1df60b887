import type { Command } from 'commander';
import { isJsonObject } from '../../core/strict-json.ts';
import { channelPath, parseCount, slotWords } from './channel-words.ts';
import { call } from './operators-client.ts';
import { memberOf, type Options, printRows, printSentence } from './output.ts';
import { type Column, formatTime } from './table.ts';

export function register(slots: Command): void {
  slots
    .command('show')
    .argument('<channel>', 'its name')
    .description('what slots A and B hold')
    .action((name: string, _options, command: Command) => show(command.optsWithGlobals(), name));
  slots
    .command('stage')
    .argument('<channel>', 'its name')
    .argument('<version>', 'of a listed release', parseCount)
    .description('put a release into the slot that is not active; no node gets it yet')
    .action((name: string, version: number, _options, command: Command) =>
      stage(command.optsWithGlobals(), { name, version }),
    );
}

const SLOT_COLUMNS: readonly Column[] = [
  ['SLOT', (slot) => slot.slot],
  ['VERSION', (slot) => slot.version],
  ['STATE', (slot) => slot.state],
  ['STAGED (UTC)', (slot) => formatTime(slot.stagedAt)],
  ['LAST ACTIVE SINCE (UTC)', (slot) => formatTime(slot.activatedAt)],
  ['DIGEST', (slot) => slot.digest],
];

async function show(options: Options, name: string): Promise<void> {
  const channel = await call(options, { method: 'GET', path: channelPath(name) });
  const slots = memberOf(channel, 'slots');
  const rows = ['A', 'B'].flatMap((slot) => {
    const content = memberOf(slots ?? null, slot);
    return content !== undefined && isJsonObject(content) ? [{ slot, ...content }] : [];
  });
  await printRows(options, SLOT_COLUMNS, rows);
}

async function stage(options: Options, { name, version }: { name: string; version: number }): Promise<void> {
  const body = { version };
  const channel = await call(options, { method: 'POST', path: `${channelPath(name)}/stage`, body });
  const slot = slotWords(isJsonObject(channel) ? channel : {}, 'A').startsWith(`version ${version},`)
    ? 'A'
    : 'B';
  await printSentence(options, `version ${version} is staged in slot ${slot} of ${name}`, channel);
}
