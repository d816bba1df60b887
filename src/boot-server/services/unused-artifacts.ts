import { type Clock, secondsOf } from '../../core/clock.ts';
import type { ChannelState } from '../../releases/channel.ts';
import type { ChannelStore } from '../../releases/channel-store.ts';
import { artifactsIn, parseReleaseManifest } from '../../signing/manifest.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { readArtifact } from './read-artifact.ts';
import type { RepositoryService } from './repository.ts';

/** An upload is published within a day, or begins again. */
const GRACE_MS = 86_400_000;

export interface UnusedArtifacts {
  count: number;
  bytes: number;
}

/**
 * Removes artifacts that nothing needs: no listed release or stage-0, no slot, no pinned node, no open grant, and put
 * here more than a day ago. A crash leaves some of them for the next time.
 */
export async function removeUnusedArtifacts(on: {
  artifacts: ArtifactStore;
  channels: ChannelStore;
  repository: Pick<RepositoryService, 'current'>;
  clock: Clock;
  /** Counts them only. */
  dryRun?: boolean;
}): Promise<UnusedArtifacts> {
  const published = on.repository.current();
  // Without metadata nothing says what is needed.
  if (published === undefined || published.faults.length > 0) return { count: 0, bytes: 0 };
  const needed = await listNeeded({ ...on, published });
  const putBeforeMs = on.clock.nowMs() - GRACE_MS;
  let removed: UnusedArtifacts = { count: 0, bytes: 0 };
  for await (const { sha256, length, putAtMs } of on.artifacts.list()) {
    if (needed.has(sha256) || putAtMs > putBeforeMs) continue;
    if (!on.dryRun) await on.artifacts.remove(sha256);
    removed = { count: removed.count + 1, bytes: removed.bytes + length };
  }
  return removed;
}

async function listNeeded(on: {
  artifacts: ArtifactStore;
  channels: ChannelStore;
  published: NonNullable<ReturnType<RepositoryService['current']>>;
  clock: Clock;
}): Promise<ReadonlySet<string>> {
  const { catalog, verified } = on.published;
  const listed = [...catalog.releases.values()].flat();
  const needed = new Set([
    ...verified.stage0Builds.map(({ sha256 }) => sha256),
    ...listed.flatMap(({ listing, manifest }) => [
      listing.sha256,
      ...artifactsIn(manifest).map(({ sha256 }) => sha256),
    ]),
  ]);
  const slots = (await on.channels.listChannels()).flatMap(digestsInSlots);
  const inUse = await on.channels.listReleasesInUse(secondsOf(on.clock));
  for (const digest of new Set([...slots, ...inUse])) {
    needed.add(digest);
    for (const part of await partsOf(digest, on.artifacts)) needed.add(part);
  }
  return needed;
}

export function digestsInSlots(channel: ChannelState): string[] {
  if (channel.mode === 'follow') return [];
  const { A, B } = channel.slots;
  return [A, B, channel.previous].flatMap((content) =>
    content === undefined ? [] : [content.releaseDigest],
  );
}

/** Of a release that may be listed no more. */
async function partsOf(digest: string, artifacts: ArtifactStore): Promise<string[]> {
  const stored = await artifacts.stat(digest);
  if (stored === undefined) return [];
  const manifest = parseReleaseManifest(await readArtifact(artifacts, { sha256: digest, ...stored }));
  return artifactsIn(manifest).map(({ sha256 }) => sha256);
}
