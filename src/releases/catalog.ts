import { CodedError } from '../core/errors.ts';
import type { ReleaseListing, ReleaseManifest } from '../signing/manifest.ts';

export class ReleaseError extends CodedError<'no-release'> {}

export interface Release {
  listing: ReleaseListing;
  manifest: ReleaseManifest;
}

/** Everything that the release keys currently list, and nothing else: replaced whole by a publication. */
export interface Catalog {
  /** Channel name to its listed releases. */
  releases: ReadonlyMap<string, readonly Release[]>;
}

/**
 * What a node of this channel gets: the highest version that its release keys list.
 *
 * @throws {ReleaseError} `no-release`
 */
export function chooseRelease(catalog: Catalog, channel: string): Release {
  const releases = catalog.releases.get(channel) ?? [];
  const [first, ...others] = releases;
  if (first === undefined)
    throw new ReleaseError('no-release', `channel ${channel} lists no release: publish one`);
  return others.reduce(
    (highest, release) => (release.listing.version > highest.listing.version ? release : highest),
    first,
  );
}

/** The release of exactly this digest, if its keys still list it. */
export function findRelease(
  catalog: Catalog | undefined,
  wanted: { channel: string; releaseDigest: string },
): Release | undefined {
  return catalog?.releases
    .get(wanted.channel)
    ?.find((release) => release.listing.sha256 === wanted.releaseDigest);
}

/** The hashes that a grant for this release opens: its manifest and what that names. */
export function artifactsOf({ listing, manifest }: Release): ReadonlyMap<string, number> {
  return new Map([
    [listing.sha256, listing.length],
    [manifest.kernel.sha256, manifest.kernel.length],
    [manifest.initramfs.sha256, manifest.initramfs.length],
  ]);
}
