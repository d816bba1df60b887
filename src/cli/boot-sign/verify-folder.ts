import { verifyFloorApprovals } from '../../attestation/floor/floor-approval.ts';
import { toHex } from '../../core/bytes.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import { measureUki } from '../../signing/efi/uki-measurement.ts';
import { artifactsIn, parseListedManifest } from '../../signing/manifest.ts';
import { readStoredArtifact, verifyStoredArtifact } from '../../signing/repository/artifact-folder.ts';
import type { RepositoryLayout } from '../../signing/repository/layout.ts';
import type { StoredMetadata } from '../../signing/repository/metadata-folder.ts';
import { keyringsOf, requireVerifiableByNodes } from '../../signing/tuf/keyrings.ts';
import type { Stage0Listing } from '../../signing/tuf/listings.ts';
import { verifyMetadata } from '../../signing/tuf/verify-metadata.ts';
import { repositoryOf, type VerifiedRepository } from '../../signing/tuf/verify-repository.ts';
import { predictPcrs } from './predicted-pcrs.ts';

export class ListingError extends CodedError<'stage0-not-as-listed'> {}

export interface VerifiedFolder {
  readonly repository: VerifiedRepository;
  /** SHA-256 to length of every artifact that is listed, directly or by a manifest. */
  readonly artifacts: ReadonlyMap<string, number>;
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
    verifyMeasurements(listing, await readStoredArtifact(layout, listing));
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
  return { repository, artifacts };
}

/** What the listing says that booting the image measures is what the image says. */
function verifyMeasurements(listing: Stage0Listing, image: Uint8Array): void {
  const measured = measureUki(image);
  if (
    toHex(measured.authenticodeSha256) !== listing.authenticodeSha256 ||
    toHex(measured.pcr11) !== listing.pcr11
  )
    throw new ListingError(
      'stage0-not-as-listed',
      `${listing.target} measures other values than its listing says`,
    );
  verifyApprovals(listing, image);
}

/** An approval of another image would let that one write floors. */
function verifyApprovals({ target, floorKey, floorApprovals }: Stage0Listing, image: Uint8Array): void {
  if (floorKey === undefined || floorApprovals === undefined) return;
  try {
    verifyFloorApprovals({ floorKey, floorApprovals }, predictPcrs(image));
  } catch (cause) {
    throw new ListingError('stage0-not-as-listed', `${target}: ${messageOf(cause)}`, { cause });
  }
}
