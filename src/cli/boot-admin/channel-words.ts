import { InvalidArgumentError } from 'commander';
import type { JsonObject } from '../../core/strict-json.ts';
import { memberOf } from './output.ts';
import { type Column, printable } from './table.ts';

/** What commands on channels, slots and rollouts have in common. */

export function channelPath(name: string): string {
  return `/admin/v1/channels/${encodeURIComponent(name)}`;
}

export function parseCount(text: string): number {
  if (!/^(?:0|[1-9][0-9]{0,14})$/.test(text)) throw new InvalidArgumentError('expected a number');
  return Number(text);
}

export const RELEASE_COLUMNS: readonly Column[] = [
  ['VERSION', (release) => release.version],
  ['NAME', (release) => release.name],
  ['STATE', (release) => release.state],
  ['DIGEST', (release) => release.digest],
];

/** For a cell: "version 3, superseded". */
export function slotWords({ slots }: JsonObject, name: 'A' | 'B'): string {
  const slot = memberOf(slots ?? null, name);
  if (slot === undefined || slot === null) return '-';
  return `version ${printable(memberOf(slot, 'version'))}, ${printable(memberOf(slot, 'state'))}`;
}
