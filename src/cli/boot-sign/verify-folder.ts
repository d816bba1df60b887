import { verifyStage0Listing } from '../../attestation/policy/stage0-listing.ts';
import { measureStage0 } from '../../signing/efi/stage0-measurements.ts';
import { artifactsIn, parseListedManifest } from '../../signing/manifest.ts';
import { readStoredArtifact, verifyStoredArtifact } from '../../signing/repository/artifact-folder.ts';
import type { RepositoryLayout } from '../../signing/repository/layout.ts';
import type { StoredMetadata } from '../../signing/repository/metadata-folder.ts';
import { keyringsOf, requireVerifiableByNodes } from '../../signing/tuf/keyrings.ts';
import { firstSignedTogetherSha256 } from '../../signing/tuf/signed-together.ts';
import { verifyMetadata } from '../../signing/tuf/verify-metadata.ts';
import { repositoryOf, type VerifiedRepository } from '../../signing/tuf/verify-repository.ts';

export interface VerifiedFolder {
  readonly repository: VerifiedRepository;
  /** SHA-256 to length of every artifact that is listed, directly or by a manifest. */
  readonly artifacts: ReadonlyMap<string, number>;
  /** Of all that was signed when it was made, as long as nothing but snapshot and timestamp was signed since. */
  readonly firstProposalSha256: string | undefined;
}

/** Metadata as a client judges them, then every byte that they name, directly or through a manifest. */
export async function verifyFolder(input: {
  layout: RepositoryLayout;
  stored: StoredMetadata;
  nowMs: number;
  trustedRoot?: Uint8Array;
}): Promise<VerifiedFolder> {
  const { layout, stored, nowMs } = input;
  const trustedRoot = input.trustedRoot ?? stored.trustedRoot;
  const trusted = verifyMetadata({ trustedRoot, files: stored.files, nowMs });
  const repository = repositoryOf(trusted);
  requireVerifiableByNodes(keyringsOf(trusted));
  const artifacts = new Map<string, number>();
  for (const listing of repository.stage0Builds) {
    verifyStage0Listing(listing, measureStage0(await readStoredArtifact(layout, listing)));
    artifacts.set(listing.sha256, listing.length);
  }
  for (const listing of [...repository.channels.values()].flat()) {
    const manifest = parseListedManifest(await readStoredArtifact(layout, listing), listing);
    for (const part of artifactsIn(manifest)) {
      await verifyStoredArtifact(layout, part);
      artifacts.set(part.sha256, part.length);
    }
    artifacts.set(listing.sha256, listing.length);
  }
  return { repository, artifacts, firstProposalSha256: firstSignedTogetherSha256(trusted) };
}
