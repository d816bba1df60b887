import type { Stage0Reference } from '../../attestation/policy/stage0-matching.ts';
import type { Stage0ImageRecord } from '../../releases/release-store.ts';
import type { Stage0Listing } from '../../signing/tuf/listings.ts';
import type { VerifiedRepository } from '../../signing/tuf/verify-repository.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { readArtifact } from './read-artifact.ts';
import { metadataRefused, requireStored } from './refuse-publication.ts';
import { createStage0ImageRecord, requireFloorApprovals } from './stage0-image.ts';

/** Records of the images that are listed and not known yet; those that are known are held against their listing. */
export async function computeStage0Images(
  verified: VerifiedRepository,
  known: readonly Stage0ImageRecord[],
  artifacts: ArtifactStore,
): Promise<Stage0ImageRecord[]> {
  const images: Stage0ImageRecord[] = [];
  for (const listing of verified.stage0Builds) {
    await requireStored(artifacts, listing.target, listing);
    const before = known.find((image) => image.sha256 === listing.sha256);
    if (before === undefined) images.push(await computeStage0Image(listing, artifacts));
    else requireFloorApprovals(listing, before);
  }
  return images;
}

async function computeStage0Image(
  listing: Stage0Listing,
  artifacts: ArtifactStore,
): Promise<Stage0ImageRecord> {
  try {
    return createStage0ImageRecord(listing, await readArtifact(artifacts, listing));
  } catch (cause) {
    throw metadataRefused(cause);
  }
}

/** What nodes are held against: every image that was ever listed, and what its listing says while it has one. */
export function stage0References(
  verified: VerifiedRepository,
  images: readonly Stage0ImageRecord[],
): readonly Stage0Reference[] {
  const listings = new Map(verified.stage0Builds.map((listing) => [listing.sha256, listing]));
  return images.map((image) => {
    const listing = listings.get(image.sha256);
    return {
      ...image,
      listed: listing !== undefined,
      ...(listing && listedMembersOf(listing)),
    };
  });
}

/** What only the listing says, and says only while it is in force; its floor key is remembered. */
function listedMembersOf({ authenticodeSha256, floorKey, floorApprovals }: Stage0Listing) {
  return {
    authenticodeSha256,
    ...(floorKey !== undefined && { floorKey }),
    ...(floorApprovals !== undefined && { floorApprovals }),
  };
}

/** Floor keys by image. The last one of each image counts. */
export function floorKeysOf(
  builds: readonly Pick<Stage0Listing, 'sha256' | 'floorKey'>[],
): ReadonlyMap<string, string> {
  return new Map(
    builds.flatMap(({ sha256, floorKey }) => (floorKey === undefined ? [] : [[sha256, floorKey]])),
  );
}
