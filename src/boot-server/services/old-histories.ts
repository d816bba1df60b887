import { type Clock, secondsOf } from '../../core/clock.ts';
import type { ChannelState } from '../../releases/channel.ts';
import type { ChannelStore } from '../../releases/channel-store.ts';
import type { RepositoryService } from './repository.ts';
import { digestsInSlots } from './unused-artifacts.ts';

/** So long what a node went through with a release is of use to people, when nothing is decided from it any more. */
const KEPT_SECONDS = 30 * 86_400;

/**
 * Forgets what nodes went through with releases that are not listed, in no slot, nobody's pin, and not what a channel's
 * last rollout was about, unless the node booted it within 30 days. A crash leaves some of it for the next time.
 *
 * @returns how many records
 */
export async function forgetOldHistories(on: {
  channels: ChannelStore;
  repository: Pick<RepositoryService, 'current'>;
  clock: Clock;
}): Promise<number> {
  const published = on.repository.current();
  // Without metadata nothing says what is listed.
  if (published === undefined) return 0;
  const nowSeconds = secondsOf(on.clock);
  const listed = [...published.verified.channels.values()].flat().map(({ sha256 }) => sha256);
  const channels = await on.channels.listChannels();
  const inUse = await on.channels.listReleasesInUse(nowSeconds);
  return on.channels.forgetReleases({
    except: new Set([
      ...listed,
      ...channels.flatMap(digestsInSlots),
      ...channels.flatMap(digestOfRollout),
      ...inUse,
    ]),
    bootedBeforeSeconds: nowSeconds - KEPT_SECONDS,
  });
}

function digestOfRollout(channel: ChannelState): string[] {
  return channel.mode === 'follow' || channel.rollout === undefined ? [] : [channel.rollout.releaseDigest];
}
