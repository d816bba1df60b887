import { concatBytes } from '../../core/bytes.ts';
import { PiError } from './pi-error.ts';

// Directory entries of FAT (Microsoft, "FAT: General Overview of On-Disk Format" 1.03, "FAT Directory
// Structure" and "FAT Long Directory Entries"): a short name of 8 and 3 characters, and in front of it the name
// as it is, in pieces of 13 characters.

export const ENTRY_BYTES = 32;
const LONG_NAME_UNITS = 13;
const LONG_NAME_OFFSETS = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
const LAST_LONG_ENTRY = 0x40;
/** 1 January 1980, the first day there is: the same files give the same bytes. */
const DATE = 0x0021;

export const ATTRIBUTE = { volumeLabel: 0x08, directory: 0x10, archive: 0x20, longName: 0x0f } as const;

const NAME = /^[ -~]{1,255}$/;
const FORBIDDEN = /["*/:<>?\\|]|^ |[. ]$/;
const SHORT = /^([A-Z0-9_-]{1,8})(?:\.([A-Z0-9_-]{1,3}))?$/;

export interface DirectoryMember {
  readonly name: string;
  readonly attribute: number;
  readonly firstCluster: number;
  readonly size: number;
}

export function requireFatName(name: string): void {
  if (!NAME.test(name) || FORBIDDEN.test(name))
    throw new PiError(
      'boot-files-invalid',
      `${JSON.stringify(name)} is no name that FAT can hold: rename it`,
    );
}

/** How many entries these names take. */
export function countEntries(names: readonly string[]): number {
  return [...shortNames(names)].reduce((sum, [name, short]) => sum + 1 + longPieces(name, short), 0);
}

export function encodeDirectory(members: readonly DirectoryMember[]): Uint8Array {
  const shorts = shortNames(members.map(({ name }) => name));
  return concatBytes(
    ...members.flatMap((member) => {
      const short = shorts.get(member.name) ?? '';
      return [...longEntries(member.name, short), encodeEntry(toField(short), member)];
    }),
  );
}

/** An entry whose name is given as the 11 bytes of the field: `.`, `..` and the volume's label. */
export function encodeEntry(field: string, member: Omit<DirectoryMember, 'name'>): Uint8Array {
  const entry = new Uint8Array(ENTRY_BYTES);
  const view = new DataView(entry.buffer);
  entry.set(Buffer.from(field.padEnd(11), 'latin1'));
  entry[11] = member.attribute;
  for (const offset of [16, 18, 24]) view.setUint16(offset, DATE, true); // created, accessed, written
  view.setUint16(26, member.firstCluster, true);
  view.setUint32(28, member.size, true);
  return entry;
}

/** Names that are short already come first, so that no made-up one takes theirs. */
function shortNames(names: readonly string[]): Map<string, string> {
  const taken = new Set(names.map((name) => name.toUpperCase()).filter((name) => SHORT.test(name)));
  return new Map(
    names.map((name) => {
      const upper = name.toUpperCase();
      if (SHORT.test(upper)) return [name, upper];
      const short = madeUpName(upper, taken);
      taken.add(short);
      return [name, short];
    }),
  );
}

/** "The Basis-Name Generation Algorithm": as much of the name as there is room for, and a number. */
function madeUpName(upper: string, taken: ReadonlySet<string>): string {
  const dot = upper.lastIndexOf('.');
  const clean = (text: string) => text.replace(/[^A-Z0-9_-]/g, '');
  const stem = clean(dot > 0 ? upper.slice(0, dot) : upper);
  const extension = dot > 0 ? clean(upper.slice(dot + 1)).slice(0, 3) : '';
  for (let number = 1; ; number++) {
    const tail = `~${number}`;
    const short = stem.slice(0, 8 - tail.length) + tail + (extension === '' ? '' : `.${extension}`);
    if (!taken.has(short)) return short;
  }
}

function longPieces(name: string, short: string): number {
  return name === short ? 0 : Math.ceil(name.length / LONG_NAME_UNITS);
}

/** The last piece first; the rest of a piece is one NUL and then ones. */
function longEntries(name: string, short: string): Uint8Array[] {
  const pieces = longPieces(name, short);
  const checkSum = checkSumOf(toField(short));
  return Array.from({ length: pieces }, (_, index) => {
    const piece = pieces - 1 - index;
    const entry = new Uint8Array(ENTRY_BYTES);
    const view = new DataView(entry.buffer);
    entry[0] = (piece + 1) | (index === 0 ? LAST_LONG_ENTRY : 0);
    entry[11] = ATTRIBUTE.longName;
    entry[13] = checkSum;
    for (const [unit, offset] of LONG_NAME_OFFSETS.entries()) {
      const at = piece * LONG_NAME_UNITS + unit;
      view.setUint16(offset, at < name.length ? name.charCodeAt(at) : at === name.length ? 0 : 0xffff, true);
    }
    return entry;
  });
}

function checkSumOf(field: string): number {
  return [...Buffer.from(field, 'latin1')].reduce(
    (sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff,
    0,
  );
}

function toField(short: string): string {
  const [stem = '', extension = ''] = short.split('.');
  return stem.padEnd(8) + extension.padEnd(3);
}
