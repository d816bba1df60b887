import { concatBytes } from '../../core/bytes.ts';
import { EfiError } from './efi-error.ts';

/** A member of an initramfs. Paths are relative, without `.` or `..`; missing parents are added. */
export type CpioEntry =
  | { type: 'file'; path: string; mode: number; data: Uint8Array }
  | { type: 'directory'; path: string; mode: number }
  | { type: 'symlink'; path: string; target: string };

const FILE_TYPE_BITS = { file: 0o100000, directory: 0o040000, symlink: 0o120000 } as const;
const SYMLINK_MODE = 0o777;
const PATH = /^[^/\0]+(?:\/[^/\0]+)*$/;
const MAX_FIELD = 0xffff_ffff;

/**
 * Writes the `newc` format that the kernel unpacks (Linux, driver-api/early-userspace/buffer-format).
 * The same entries give the same bytes, in whatever order they come: sorted by path bytes, owned by root,
 * dated 0, numbered from 1. The length is a multiple of 4, so another archive, compressed or not, may
 * follow.
 */
export function writeCpio(entries: readonly CpioEntry[]): Uint8Array {
  const sorted = withParents(entries).sort((a, b) =>
    Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)),
  );
  const members = sorted.map((entry, index) => writeMember(entry, index + 1));
  return concatBytes(...members, writeTrailer());
}

function withParents(entries: readonly CpioEntry[]): CpioEntry[] {
  const byPath = new Map<string, CpioEntry>();
  for (const entry of entries) {
    requirePath(entry.path);
    if (byPath.has(entry.path)) throw new EfiError('cpio-invalid', `${entry.path} appears twice`);
    byPath.set(entry.path, entry);
  }
  for (const { path } of entries)
    for (let slash = path.indexOf('/'); slash > 0; slash = path.indexOf('/', slash + 1)) {
      const parent = path.slice(0, slash);
      const present = byPath.get(parent);
      if (present === undefined) byPath.set(parent, { type: 'directory', path: parent, mode: 0o755 });
      else if (present.type !== 'directory')
        throw new EfiError('cpio-invalid', `${path} lies below ${parent}, which is no directory`);
    }
  return [...byPath.values()];
}

function requirePath(path: string): void {
  if (!PATH.test(path) || path.split('/').some((part) => part === '.' || part === '..'))
    throw new EfiError('cpio-invalid', `${JSON.stringify(path)} is not a plain relative path`);
  if (path === 'TRAILER!!!') throw new EfiError('cpio-invalid', 'this name ends an archive');
}

function writeMember(entry: CpioEntry, inode: number): Uint8Array {
  const permissions = entry.type === 'symlink' ? SYMLINK_MODE : entry.mode;
  if (!Number.isInteger(permissions) || permissions < 0 || permissions > 0o7777)
    throw new EfiError('cpio-invalid', `${entry.path} has impossible permissions`);
  return writeRecord(entry.path, contentOf(entry), {
    inode,
    mode: FILE_TYPE_BITS[entry.type] | permissions,
    links: entry.type === 'directory' ? 2 : 1,
  });
}

function contentOf(entry: CpioEntry): Uint8Array {
  switch (entry.type) {
    case 'file':
      return entry.data;
    case 'directory':
      return new Uint8Array(0);
    case 'symlink':
      return Buffer.from(entry.target);
  }
}

function writeTrailer(): Uint8Array {
  return writeRecord('TRAILER!!!', new Uint8Array(0), { inode: 0, mode: 0, links: 1 });
}

function writeRecord(
  path: string,
  data: Uint8Array,
  { inode, mode, links }: { inode: number; mode: number; links: number },
): Uint8Array {
  const name = Buffer.from(`${path}\0`);
  const noOwnerNoDate = { uid: 0, gid: 0, mtime: 0 };
  const { uid, gid, mtime } = noOwnerNoDate;
  // inode mode uid gid nlink mtime filesize, device and special device as major and minor, name size, check
  const fields = [inode, mode, uid, gid, links, mtime, data.length, 0, 0, 0, 0, name.length, 0];
  const header = Buffer.from(`070701${fields.map(hexField).join('')}`, 'latin1');
  return concatBytes(header, name, padding(header.length + name.length), data, padding(data.length));
}

function hexField(value: number): string {
  if (value > MAX_FIELD) throw new EfiError('cpio-invalid', `${value} does not fit a field of the archive`);
  return value.toString(16).toUpperCase().padStart(8, '0');
}

function padding(length: number): Uint8Array {
  return new Uint8Array(-length & 3);
}
