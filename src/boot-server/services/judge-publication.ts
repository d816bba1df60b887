import type { Clock } from '../../core/clock.ts';
import type { ReleaseStore } from '../../releases/release-store.ts';
import type { ServedFloor } from '../../signing/repository/served-floor.ts';
import { TufError } from '../../signing/tuf/errors.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import { requireSignedByNow } from '../../signing/tuf/signed-at.ts';
import { type VerifiedRepository, verifyRepository } from '../../signing/tuf/verify-repository.ts';
import { type KeptRoots, newRootsIn } from './kept-root.ts';
import { lowestRoot } from './lowest-root.ts';
import type { Files, PublishedRepository } from './published-repository.ts';
import { metadataRefused } from './refuse-publication.ts';

/**
 * A publication, judged as a client would that has seen all that was served here.
 *
 * @param given.seen what was ever served here: at least what is published
 * @throws {Problem} `metadata-refused`
 */
export function verifyPublication(
  given: { files: Files; published: PublishedRepository | undefined; seen: SeenRoles | undefined },
  on: { pinnedRoot?: Uint8Array; clock: Clock },
): VerifiedRepository {
  const { files, published } = given;
  const previous = given.seen ?? published?.verified.roles;
  try {
    const nowMs = on.clock.nowMs();
    const verified = verifyRepository({
      trustedRoot: on.pinnedRoot ?? lowestRoot(published?.files ?? files),
      files,
      nowMs,
      ...(previous && { previous }),
    });
    requireSignedByNow(verified.roles.get('timestamp')?.signedAtSeconds, nowMs);
    return verified;
  } catch (cause) {
    if (cause instanceof TufError) throw metadataRefused(cause);
    throw cause;
  }
}

/** Kept roots, checked again from their bytes. */
export async function restoreKeptRoots(
  published: PublishedRepository | undefined,
  on: { store: ReleaseStore; floor: ServedFloor; pinnedRoot?: Uint8Array },
): Promise<KeptRoots | undefined> {
  const kept = (await on.store.loadKeptRoots()).map(({ name, bytes }) => [name, bytes] as const);
  const files = new Map([...(published?.files ?? []), ...kept]);
  return rootsBeyond(files, { published, seen: await on.floor.load() }, on);
}

/** Nothing of a refused first publication is trusted, unless its root was pinned beforehand. */
export function rootsBeyond(
  files: Files,
  { published, seen }: { published: PublishedRepository | undefined; seen: SeenRoles | undefined },
  { pinnedRoot }: { pinnedRoot?: Uint8Array },
): KeptRoots | undefined {
  const trustedRoot = pinnedRoot ?? (published && lowestRoot(published.files));
  if (trustedRoot === undefined) return undefined;
  return newRootsIn(files, { trustedRoot, seen: seen ?? published?.verified.roles ?? new Map() });
}
