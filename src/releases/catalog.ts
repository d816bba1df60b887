import type { ReleaseListing, ReleaseManifest } from '../signing/manifest.ts';
import { ReleaseError } from './errors.ts';

export interface Release {
  listing: ReleaseListing;
  manifest: ReleaseManifest;
}

/** Everything that the release keys currently list, and nothing else: replaced whole by a publication. */
export interface Catalog {
  /** Channel name to its listed releases. */
  releases: ReadonlyMap<string, readonly Release[]>;
}

export function listedReleases(catalog: Catalog | undefined, channel: string): readonly Release[] {
  return catalog?.releases.get(channel) ?? [];
}

/** The highest version of these, if there is one. */
export function newestRelease(releases: readonly Release[]): Release | undefined {
  return releases.reduce<Release | undefined>(
    (highest, release) =>
      highest === undefined || release.listing.version > highest.listing.version ? release : highest,
    undefined,
  );
}

/** The release of exactly this digest, if its keys still list it. */
export function findRelease(
  catalog: Catalog | undefined,
  wanted: { channel: string; releaseDigest: string },
): Release | undefined {
  return listedReleases(catalog, wanted.channel).find(
    (release) => release.listing.sha256 === wanted.releaseDigest,
  );
}

/** @throws {ReleaseError} `release-not-listed` */
export function requireListed(releases: readonly Release[], channel: string, version: number): Release {
  const release = releases.find(({ listing }) => listing.version === version);
  if (release !== undefined) return release;
  const versions = releases.map(({ listing }) => listing.version).join(', ');
  throw new ReleaseError(
    'release-not-listed',
    `channel ${channel} lists no version ${version} (it lists ${versions || 'none'}): publish it first`,
  );
}

/** The hashes that a grant for this release opens: its manifest and what that names. */
export function artifactsOf({ listing, manifest }: Release): ReadonlyMap<string, number> {
  return new Map([
    [listing.sha256, listing.length],
    [manifest.kernel.sha256, manifest.kernel.length],
    [manifest.initramfs.sha256, manifest.initramfs.length],
  ]);
}
