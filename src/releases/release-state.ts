import { newestRelease, type Release } from './catalog.ts';
import { type ChannelState, openRollout } from './channel.ts';

/**
 * Where a release stands in its channel: `listed` by its keys, `staged` in a slot, `rolling` out, `active`, or
 * `superseded` and still there to fall back to. `withdrawn` is one that a slot holds and the keys list no more.
 */
export type ReleaseState = 'listed' | 'staged' | 'rolling' | 'active' | 'superseded' | 'withdrawn';

export function releaseStateOf(
  digest: string,
  { channel, listed }: { channel: ChannelState; listed: readonly Release[] },
): ReleaseState {
  if (listed.every(({ listing }) => listing.sha256 !== digest)) return 'withdrawn';
  if (channel.mode === 'follow')
    return newestRelease(listed)?.listing.sha256 === digest ? 'active' : 'listed';
  const { slots, active } = channel;
  if (slots[active]?.releaseDigest === digest) return 'active';
  if (openRollout(channel)?.releaseDigest === digest) return 'rolling';
  const other = slots[active === 'A' ? 'B' : 'A'];
  if (other?.releaseDigest !== digest) return 'listed';
  return other.activatedAtSeconds === undefined ? 'staged' : 'superseded';
}
