import type { Stage0Reference } from '../../attestation/policy/stage0-matching.ts';
import type { Catalog } from '../../releases/catalog.ts';
import type { ReleaseStore } from '../../releases/release-store.ts';
import { type VerifiedRepository, verifyRepository } from '../../signing/tuf/verify-repository.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { loadIntactChannels } from './listed-releases.ts';
import { stage0References } from './listed-stage0.ts';
import { lowestRoot } from './lowest-root.ts';
import type { StoredRepository } from './set-back.ts';

/** Metadata by file name. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** One verified publication: what is served and what decisions are made from, replaced whole. */
export interface PublishedRepository {
  verified: VerifiedRepository;
  catalog: Catalog;
  /** Every image that was ever listed, with what booting it leaves in the TPM. */
  stage0: readonly Stage0Reference[];
  /** Every metadata file there ever was here, by name: nodes on old roots walk the chain. */
  files: Files;
  /** Listed releases whose artifacts were damaged or lost since they were published. */
  faults: readonly string[];
}

/**
 * What the last publication left, checked again from its bytes as of the day it was made: expiry since
 * then is for nodes to refuse and for `readyz` to report, not a reason to keep the server from starting.
 */
export async function restorePublished(on: {
  store: ReleaseStore;
  artifacts: ArtifactStore;
  pinnedRoot?: Uint8Array;
}): Promise<{ published: PublishedRepository; stored: StoredRepository } | undefined> {
  const stored = await on.store.loadMetadata();
  if (stored === undefined) return undefined;
  const files = new Map(stored.files.map(({ name, bytes }) => [name, bytes]));
  const verification = {
    trustedRoot: on.pinnedRoot ?? lowestRoot(files),
    files,
    nowMs: stored.publishedAtSeconds * 1000,
  };
  const verified = verifyRepository(verification);
  const stage0 = stage0References(verified, await on.store.loadStage0Images());
  const published = { verified, stage0, files, ...(await loadIntactChannels(verified, on.artifacts)) };
  return { published, stored: { verification, roles: verified.roles } };
}
