import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { CpioEntry } from '../src/signing/efi/cpio.ts';

/**
 * The files below a folder of this repository, as members of an image. Whether a file is a program is read
 * from its first line, because the modes of a working copy depend on who made it.
 */
export function filesBelow(folder: string, target: string): CpioEntry[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => statSync(join(folder, path)).isFile() && !isForPeople(path))
    .map((path) => sourceFile(join(folder, path), `${target}/${path}`));
}

/** Documentation, and settings of the tools that check the sources. */
function isForPeople(path: string): boolean {
  return path.endsWith('.md') || basename(path).startsWith('.');
}

export function sourceFile(path: string, target: string): CpioEntry {
  const data = readFileSync(path);
  const mode = data.subarray(0, 2).toString('latin1') === '#!' ? 0o755 : 0o644;
  return { type: 'file', path: target, mode, data };
}
