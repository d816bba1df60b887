import { messageOf } from '../../core/errors.ts';
import type { Catalog, Release } from '../../releases/catalog.ts';
import { artifactsIn, parseListedManifest, type ReleaseListing } from '../../signing/manifest.ts';
import type { VerifiedRepository } from '../../signing/tuf/verify-repository.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { Problem } from '../problems.ts';
import { readArtifact } from './read-artifact.ts';
import { metadataRefused, requireStored } from './refuse-publication.ts';

/** @throws {Problem} when a release that is listed is not stored whole */
export async function loadCatalog(verified: VerifiedRepository, artifacts: ArtifactStore): Promise<Catalog> {
  const releases = new Map<string, Release[]>();
  for (const [channel, listings] of verified.channels)
    releases.set(channel, await loadReleases(listings, artifacts));
  return { releases };
}

/**
 * A channel with a damaged release offers nothing until it is published again, which repairs it: an older
 * release in its place would be a rollback that nobody decided on.
 */
export async function loadIntactChannels(
  verified: VerifiedRepository,
  artifacts: ArtifactStore,
): Promise<{ catalog: Catalog; faults: readonly string[] }> {
  const releases = new Map<string, Release[]>();
  const faults: string[] = [];
  for (const [channel, listings] of verified.channels)
    try {
      releases.set(channel, await loadReleases(listings, artifacts));
    } catch (cause) {
      releases.set(channel, []);
      faults.push(`channel ${channel} offers nothing, publish again: ${messageOf(cause)}`);
    }
  return { catalog: { releases }, faults };
}

async function loadReleases(
  listings: readonly ReleaseListing[],
  artifacts: ArtifactStore,
): Promise<Release[]> {
  const releases: Release[] = [];
  for (const listing of listings) releases.push(await loadRelease(listing, artifacts));
  return releases;
}

async function loadRelease(listing: ReleaseListing, artifacts: ArtifactStore): Promise<Release> {
  await requireStored(artifacts, listing.target, listing);
  try {
    const manifest = parseListedManifest(await readArtifact(artifacts, listing), listing);
    for (const part of artifactsIn(manifest)) await requireStored(artifacts, listing.target, part);
    return { listing, manifest };
  } catch (cause) {
    if (cause instanceof Problem) throw cause;
    throw metadataRefused(cause);
  }
}
