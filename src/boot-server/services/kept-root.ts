import type { MetadataFile } from '../../releases/release-store.ts';
import { goodRootChain, type RootMetadata, rootFile } from '../../signing/tuf/root.ts';
import { forgetRotated } from '../../signing/tuf/rotation.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';

/** Roots that are trusted though nothing has come into force under them (TUF 5.3.8). */
export interface KeptRoots {
  readonly files: readonly MetadataFile[];
  readonly version: number;
  /** What the next publication is held against: with the last of them as root, and without what its change of keys makes to be forgotten (5.3.11). */
  readonly seen: SeenRoles;
}

/**
 * The roots of a publication that are newer than what is trusted here and good by themselves. Whatever else
 * is wrong with it, these count: a thief of a key that they take away must not publish with it.
 *
 * @param seen of what is in force, and of roots that were kept before
 */
export function newRootsIn(
  files: ReadonlyMap<string, Uint8Array>,
  { trustedRoot, seen }: { trustedRoot: Uint8Array; seen: SeenRoles },
): KeptRoots | undefined {
  const chain = goodRootChain(trustedRoot, files);
  const before = seen.get('root');
  const known =
    before === undefined
      ? chain[0]
      : chain.find(({ version, file }) => version === before.version && file.sha256 === before.sha256);
  const last = chain.at(-1);
  if (known === undefined || last === undefined || last.version <= known.version) return undefined;
  return {
    files: chain.filter(({ version }) => version > known.version).map(fileOf),
    version: last.version,
    seen: new Map([
      ...forgetRotated(chain, seen),
      ['root', { version: last.version, sha256: last.file.sha256 }],
    ]),
  };
}

function fileOf({ version, bytes }: RootMetadata): MetadataFile {
  return { name: rootFile(version), bytes };
}
