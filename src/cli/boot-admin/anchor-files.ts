import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BundleItem,
  splitBundle,
  withoutRepetition,
} from '../../attestation/endorsement/trust-anchor-bundle.ts';
import { isAnchorFile } from '../../boot-server/tpm-vendors.ts';
import { messageOf } from '../../core/errors.ts';
import { CliError } from './cli-error.ts';

export interface AnchorFiles {
  items: BundleItem[];
  /** Files that hold something else. */
  faults: FileFault[];
}

export type FileFault = { file: string; fault: string };

/**
 * What lies in files, and in folders with all that is below them; there only files that are named as
 * certificates or CRLs count, because scripts and texts lie beside them in manufacturers' bundles.
 *
 * @throws {CliError} when a path cannot be read
 */
export async function readAnchorFiles(paths: readonly string[]): Promise<AnchorFiles> {
  const files = (await Promise.all(paths.map(filesBelow))).flat();
  const faults: FileFault[] = [];
  const items: BundleItem[] = [];
  for (const file of files) {
    const bytes = await readFile(file).catch((cause) => {
      throw unreadable(file, cause);
    });
    try {
      items.push(...splitBundle(bytes).map((item) => ({ ...item, file })));
    } catch (cause) {
      faults.push({ file, fault: messageOf(cause) });
    }
  }
  return { items: withoutRepetition(items), faults };
}

async function filesBelow(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const entries = await readdir(path, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && isAnchorFile(entry.name))
      .map((entry) => join(entry.parentPath, entry.name))
      .sort();
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): CliError {
  return new CliError(`cannot read ${path}: ${messageOf(cause)}`, { cause });
}
