import type { EventStore } from '../../attestation/event-store.ts';
import type { Stage0Reference } from '../../attestation/policy/stage0-matching.ts';
import type { Clock } from '../../core/clock.ts';
import { secondsOf } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Catalog, Release } from '../../releases/catalog.ts';
import type { MetadataFile, ReleaseStore, Stage0ImageRecord } from '../../releases/release-store.ts';
import { artifactsIn, parseListedManifest, type ReleaseListing } from '../../signing/manifest.ts';
import type { ServedFloor } from '../../signing/repository/served-floor.ts';
import { TufError } from '../../signing/tuf/errors.ts';
import type { Stage0Listing } from '../../signing/tuf/listings.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import { requireSignedByNow } from '../../signing/tuf/signed-at.ts';
import { type VerifiedRepository, verifyRepository } from '../../signing/tuf/verify-repository.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { Problem } from '../problems.ts';
import { type KeptRoots, newRootsIn } from './kept-root.ts';
import { lowestRoot } from './lowest-root.ts';
import { readArtifact } from './read-artifact.ts';
import { compareWithServed, type StoredRepository } from './set-back.ts';
import { createStage0ImageRecord, requireFloorApprovals } from './stage0-image.ts';

type Files = ReadonlyMap<string, Uint8Array>;

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

export interface RepositoryService {
  /** Undefined until the first publication, and while the database is older than what was served. */
  current(): PublishedRepository | undefined;
  /** A sentence while the database is older than what this server has served: it was set back. */
  setBack(): string | undefined;
  /**
   * Verifies a whole repository by itself and puts it in force. Artifacts must be stored before. A crash
   * leaves the old publication or the new one in force, never a mixture. Calls are taken one after the
   * other, so that each is held against what the one before left (R6).
   *
   * What was published is served once it is on disk and the floor is raised to it: a crash between the two
   * leaves a floor below the database, which the next start raises.
   *
   * @throws {Problem} `metadata-refused` saying what is wrong or missing; then nothing that is in force has
   * changed. A newer root that is good by itself is kept: what its predecessor alone would allow is refused
   * from then on, also after a restart. Nodes see it with the next publication.
   */
  publish(files: Files): Promise<PublishedRepository>;
}

export async function createRepositoryService(on: {
  store: ReleaseStore;
  artifacts: ArtifactStore;
  /** The root that trust starts from; without one the first publication's lowest root is it. */
  pinnedRoot?: Uint8Array;
  floor: ServedFloor;
  events: Pick<EventStore, 'appendEvent'>;
  clock: Clock;
}): Promise<RepositoryService> {
  const restored = await restore(on);
  let published = restored?.published;
  let setBack = await compareWithServed(restored?.stored, on.floor, (roles) => recordTaken(roles, on));
  if (setBack !== undefined) await record(on, 'database-older-than-served', { reason: setBack });
  let kept = await restoreKeptRoots(published, on);
  let latest: Promise<unknown> = Promise.resolve();

  async function publishNow(files: Files): Promise<PublishedRepository> {
    try {
      return await putInForce(files);
    } catch (cause) {
      const version = cause instanceof Problem ? await keepRootsOf(files) : undefined;
      if (version === undefined) throw cause;
      const message = `${messageOf(cause)}; root version ${version} is good, and trusted from now on`;
      throw new Problem('metadata-refused', message, { cause });
    }
  }

  async function keepRootsOf(files: Files): Promise<number | undefined> {
    const newer = rootsBeyond(files, { published, seen: kept?.seen ?? (await on.floor.load()) }, on);
    if (newer === undefined) return undefined;
    await on.store.keepRoots({ files: newer.files, atSeconds: secondsOf(on.clock) });
    kept = newer;
    return newer.version;
  }

  async function putInForce(files: Files): Promise<PublishedRepository> {
    const seen = kept?.seen ?? (await on.floor.load());
    const verified = verifyOrRefuse({ files, published, seen }, on);
    const catalog = await loadCatalog(verified, on.artifacts);
    const known = await on.store.loadStage0Images();
    const images = await computeStage0Images(verified, known, on.artifacts);
    const served: MetadataFile[] = verified.files.map((name) => ({ name, bytes: requireFile(files, name) }));
    await on.store.publish({
      files: served,
      stage0Images: images,
      listedStage0: verified.stage0Builds.map(({ sha256 }) => sha256),
      floorKeys: floorKeysOf([...(published?.stage0 ?? []), ...verified.stage0Builds]),
      atSeconds: secondsOf(on.clock),
    });
    const stage0 = toReferences(verified, await on.store.loadStage0Images());
    await on.floor.save(verified.roles);
    const added = served.map(({ name, bytes }) => [name, bytes] as const);
    published = {
      verified,
      catalog,
      stage0,
      files: new Map([...(published?.files ?? []), ...added]),
      faults: [],
    };
    setBack = undefined;
    kept = undefined;
    return published;
  }

  return {
    current: () => (setBack === undefined ? published : undefined),

    setBack: () => setBack,

    publish(files) {
      const turn = latest.then(() => publishNow(files));
      latest = turn.catch(() => undefined);
      return turn;
    },
  };
}

/**
 * What the last publication left, checked again from its bytes as of the day it was made: expiry since
 * then is for nodes to refuse and for `readyz` to report, not a reason to keep the server from starting.
 */
async function restore(on: {
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
  const stage0 = toReferences(verified, await on.store.loadStage0Images());
  const published = { verified, stage0, files, ...(await loadIntactChannels(verified, on.artifacts)) };
  return { published, stored: { verification, roles: verified.roles } };
}

/**
 * A channel with a damaged release offers nothing until it is published again, which repairs it: an older
 * release in its place would be a rollback that nobody decided on.
 */
async function loadIntactChannels(
  verified: VerifiedRepository,
  artifacts: ArtifactStore,
): Promise<Pick<PublishedRepository, 'catalog' | 'faults'>> {
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

/** An event of its own: who removes the floor's file to set the database back leaves this behind. */
async function recordTaken(roles: SeenRoles, on: Recording): Promise<void> {
  const versions = [...roles].map(([role, { version }]) => `${role} ${version}`);
  await record(on, 'served-floor-taken', { versions: versions.join(', ') });
}

interface Recording {
  readonly events: Pick<EventStore, 'appendEvent'>;
  readonly clock: Clock;
}

function record({ events, clock }: Recording, kind: string, detail: Record<string, string>): Promise<void> {
  return events.appendEvent({ atSeconds: secondsOf(clock), kind, subject: 'repository', detail });
}

/** Kept roots, checked again from their bytes. */
async function restoreKeptRoots(
  published: PublishedRepository | undefined,
  on: { store: ReleaseStore; floor: ServedFloor; pinnedRoot?: Uint8Array },
): Promise<KeptRoots | undefined> {
  const kept = (await on.store.loadKeptRoots()).map(({ name, bytes }) => [name, bytes] as const);
  const files = new Map([...(published?.files ?? []), ...kept]);
  return rootsBeyond(files, { published, seen: await on.floor.load() }, on);
}

/** Nothing of a refused first publication is trusted, unless its root was pinned beforehand. */
function rootsBeyond(
  files: Files,
  { published, seen }: { published: PublishedRepository | undefined; seen: SeenRoles | undefined },
  { pinnedRoot }: { pinnedRoot?: Uint8Array },
): KeptRoots | undefined {
  const trustedRoot = pinnedRoot ?? (published && lowestRoot(published.files));
  if (trustedRoot === undefined) return undefined;
  return newRootsIn(files, { trustedRoot, seen: seen ?? published?.verified.roles ?? new Map() });
}

/** @param given.seen what was ever served here: at least what is published */
function verifyOrRefuse(
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
    if (cause instanceof TufError) throw refusal(cause);
    throw cause;
  }
}

async function loadCatalog(verified: VerifiedRepository, artifacts: ArtifactStore): Promise<Catalog> {
  const releases = new Map<string, Release[]>();
  for (const [channel, listings] of verified.channels)
    releases.set(channel, await loadReleases(listings, artifacts));
  return { releases };
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
    throw refusal(cause);
  }
}

async function computeStage0Images(
  verified: VerifiedRepository,
  known: readonly Stage0ImageRecord[],
  artifacts: ArtifactStore,
): Promise<Stage0ImageRecord[]> {
  const images: Stage0ImageRecord[] = [];
  for (const listing of verified.stage0Builds) {
    await requireStored(artifacts, listing.target, listing);
    const before = known.find((image) => image.sha256 === listing.sha256);
    const image = before ?? (await computeStage0Image(listing, artifacts));
    requireFloorApprovals(listing, image);
    if (before === undefined) images.push(image);
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
    throw refusal(cause);
  }
}

function toReferences(
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

/** The last one of each image counts. */
function floorKeysOf(
  builds: readonly Pick<Stage0Listing, 'sha256' | 'floorKey'>[],
): ReadonlyMap<string, string> {
  return new Map(
    builds.flatMap(({ sha256, floorKey }) => (floorKey === undefined ? [] : [[sha256, floorKey]])),
  );
}

async function requireStored(
  artifacts: ArtifactStore,
  target: string,
  { sha256, length }: { sha256: string; length: number },
): Promise<void> {
  const stored = await artifacts.stat(sha256);
  if (stored?.length !== length)
    throw new Problem(
      'metadata-refused',
      `${target} needs artifact ${sha256} of ${length} bytes, which is not stored here: upload it first`,
    );
}

function requireFile(files: Files, name: string): Uint8Array {
  const bytes = files.get(name);
  if (bytes === undefined) throw new Problem('metadata-refused', `the file ${name} is missing`);
  return bytes;
}

function refusal(cause: unknown): Problem {
  return new Problem('metadata-refused', messageOf(cause), { cause });
}
