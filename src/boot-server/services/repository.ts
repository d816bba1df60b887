import type { EventStore } from '../../attestation/event-store.ts';
import type { Clock } from '../../core/clock.ts';
import { secondsOf } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { MetadataFile, ReleaseStore } from '../../releases/release-store.ts';
import type { ServedFloor } from '../../signing/repository/served-floor.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { Problem } from '../problems.ts';
import { restoreKeptRoots, rootsBeyond, verifyPublication } from './judge-publication.ts';
import { loadCatalog } from './listed-releases.ts';
import { computeStage0Images, floorKeysOf, stage0References } from './listed-stage0.ts';
import { type Files, type PublishedRepository, restorePublished } from './published-repository.ts';
import { compareWithServed } from './set-back.ts';

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
  const restored = await restorePublished(on);
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
    const verified = verifyPublication({ files, published, seen }, on);
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
    const stage0 = stage0References(verified, await on.store.loadStage0Images());
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

function requireFile(files: Files, name: string): Uint8Array {
  const bytes = files.get(name);
  if (bytes === undefined) throw new Problem('metadata-refused', `the file ${name} is missing`);
  return bytes;
}
