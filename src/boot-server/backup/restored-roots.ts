import type { MetadataFile, ReleaseStore } from '../../releases/release-store.ts';
import { goodRootChain, type RootMetadata, rootFile } from '../../signing/tuf/root.ts';
import { lowestRoot } from '../services/lowest-root.ts';
import { BackupError } from './backup-error.ts';

export interface CarriedRoots {
  /** Files that the restored state did not have. */
  readonly added: readonly string[];
  /** What it trusts with them, from its lowest root on. */
  readonly chain: readonly RootMetadata[];
}

/**
 * Roots that the replaced state trusted and the backup does not know (TUF 5.3.8), verified again from the root
 * that the backup starts from. They stay trusted: a key that they took away must not come back by a restore.
 *
 * @throws {BackupError} `floors-contradict`
 */
export async function carryRoots(
  store: ReleaseStore,
  given: { oldRoots: readonly MetadataFile[]; atSeconds: number },
): Promise<CarriedRoots> {
  const stored = await store.loadMetadata();
  if (stored === undefined) return { added: [], chain: [] };
  const own = filesByName([...stored.files, ...(await store.loadKeptRoots())]);
  const trustedRoot = lowestRoot(own);
  const known = goodRootChain(trustedRoot, own);
  const both = goodRootChain(trustedRoot, new Map([...own, ...filesByName(given.oldRoots)]));
  requireOneChain(known, both);
  const files = both
    .map(({ version, bytes }) => ({ name: rootFile(version), bytes }))
    .filter(({ name }) => !own.has(name));
  if (files.length > 0) await store.keepRoots({ files, atSeconds: given.atSeconds });
  return { added: files.map(({ name }) => name), chain: both.length < known.length ? known : both };
}

export function filesByName(files: readonly MetadataFile[]): Map<string, Uint8Array> {
  return new Map(files.map(({ name, bytes }) => [name, bytes]));
}

function requireOneChain(known: readonly RootMetadata[], both: readonly RootMetadata[]): void {
  for (const [index, { version, file }] of both.entries()) {
    const own = known[index];
    if (own === undefined || own.file.sha256 === file.sha256) continue;
    throw new BackupError(
      'floors-contradict',
      `the backup trusts root version ${version} with SHA-256 ${own.file.sha256}, the database of the folder one with ${file.sha256}, and both are signed: nothing was restored. Ask the holders of the root keys which of them is theirs; to go by the backup alone, restore into an empty folder`,
    );
  }
}
