import type { Release } from './catalog.ts';
import { ReleaseError } from './errors.ts';
import { DEFAULT_HEALTH_RULES, type HealthRules } from './node-releases.ts';
import { isOpen, type Rollout } from './rollout.ts';

export type SlotName = 'A' | 'B';

/** One listed release. Immutable: staging another release is other content, and never half of each. */
export interface SlotContent {
  readonly releaseDigest: string;
  readonly version: number;
  readonly stagedAtSeconds: number;
  /** When it was made the active slot; absent for one that never was, which is nobody's fallback. */
  readonly activatedAtSeconds?: number;
}

export type Slots = { readonly [Name in SlotName]?: SlotContent };

/**
 * How a channel chooses among what its release keys list. `follow`: the newest, whatever becomes of it (what a server
 * does that nobody told otherwise). `slots`: the active slot's, moved by rollouts, with the other slot to fall back to.
 */
export type ChannelState = FollowingChannel | SlottedChannel;

export interface FollowingChannel {
  readonly mode: 'follow';
  readonly channel: string;
  /** Counts changes: a decision is only good for the revision that it was made on. */
  readonly revision: number;
}

export interface SlottedChannel {
  readonly mode: 'slots';
  readonly channel: string;
  readonly revision: number;
  readonly health: HealthRules;
  /** Boots from before it were judged by nobody. */
  readonly slotsSinceSeconds: number;
  readonly active: SlotName;
  readonly slots: Slots;
  /** What the other slot held before another release was staged into it: nodes may still live on it. */
  readonly previous?: SlotContent;
  /** The open one, or the last that ended. */
  readonly rollout?: Rollout;
}

export function createChannel(channel: string): FollowingChannel {
  return { mode: 'follow', channel, revision: 0 };
}

export function otherSlot(slot: SlotName): SlotName {
  return slot === 'A' ? 'B' : 'A';
}

export function openRollout(state: ChannelState): Rollout | undefined {
  return state.mode === 'slots' && state.rollout && isOpen(state.rollout) ? state.rollout : undefined;
}

/** From `follow` to slots, where what was followed until now is in slot A and active. */
export function useSlots(
  state: ChannelState,
  on: { inForce: Release | undefined; atSeconds: number; health?: HealthRules },
): SlottedChannel {
  if (state.mode === 'slots') return on.health ? changed({ ...state, health: on.health }) : state;
  const { inForce, atSeconds, health = DEFAULT_HEALTH_RULES } = on;
  const { channel, revision } = state;
  const slots: Slots = inForce
    ? { A: { ...contentOf(inForce, atSeconds), activatedAtSeconds: atSeconds } }
    : {};
  return {
    mode: 'slots',
    channel,
    revision: revision + 1,
    health,
    slotsSinceSeconds: atSeconds,
    active: 'A',
    slots,
  };
}

/** @throws {ReleaseError} `rollout-open` */
export function followNewest(state: ChannelState): FollowingChannel {
  requireNoRollout(state, 'follow the newest release');
  return { mode: 'follow', channel: state.channel, revision: state.revision + 1 };
}

/**
 * Puts a listed release into the slot that is not active. The first one of a channel is active at once: there is
 * nothing else to boot.
 *
 * @throws {ReleaseError} `rollout-open`, `slot-active`
 */
export function stage(state: SlottedChannel, release: Release, atSeconds: number): SlottedChannel {
  requireNoRollout(state, 'stage another release');
  const active = state.slots[state.active];
  const content = contentOf(release, atSeconds);
  if (active === undefined)
    return changed({
      ...state,
      slots: { ...state.slots, [state.active]: { ...content, activatedAtSeconds: atSeconds } },
    });
  if (active.releaseDigest === content.releaseDigest)
    throw new ReleaseError(
      'slot-active',
      `version ${content.version} is active in slot ${state.active} already: there is nothing to stage`,
    );
  const slot = otherSlot(state.active);
  const held = state.slots[slot];
  if (held?.releaseDigest === content.releaseDigest) return state;
  const previous = held?.activatedAtSeconds === undefined ? state.previous : held;
  return changed({ ...state, slots: { ...state.slots, [slot]: content }, ...(previous && { previous }) });
}

/**
 * Makes the other slot the active one: every node gets it at its next boot. What was active stays where it is, to fall
 * back to.
 *
 * @throws {ReleaseError} `slot-empty`, `rollout-open`
 */
export function switchSlots(state: SlottedChannel, atSeconds: number): SlottedChannel {
  requireNoRollout(state, 'switch slots');
  const slot = otherSlot(state.active);
  const { previous: _, ...kept } = state;
  return changed({
    ...kept,
    active: slot,
    slots: { ...state.slots, [slot]: { ...requireContent(state, slot), activatedAtSeconds: atSeconds } },
  });
}

/**
 * Back to what was active before. @throws {ReleaseError} `slot-empty`: the other slot was never active, or holds
 * nothing; `rollout-open`: abort the rollout instead
 */
export function rollBack(state: SlottedChannel, atSeconds: number): SlottedChannel {
  const slot = otherSlot(state.active);
  if (requireContent(state, slot).activatedAtSeconds === undefined)
    throw new ReleaseError(
      'slot-empty',
      `slot ${slot} holds version ${requireContent(state, slot).version}, which never was active: promote it, if that is what you want`,
    );
  return switchSlots(state, atSeconds);
}

/** @throws {ReleaseError} `slot-empty` */
export function requireContent(state: SlottedChannel, slot: SlotName): SlotContent {
  const content = state.slots[slot];
  if (content !== undefined) return content;
  throw new ReleaseError(
    'slot-empty',
    `slot ${slot} of channel ${state.channel} is empty: stage a release into it first`,
  );
}

export function changed(state: SlottedChannel): SlottedChannel {
  return { ...state, revision: state.revision + 1 };
}

function requireNoRollout(state: ChannelState, whatFor: string): void {
  const rollout = openRollout(state);
  if (rollout !== undefined)
    throw new ReleaseError(
      'rollout-open',
      `a rollout of version ${rollout.version} is ${rollout.state}: promote or abort it before you ${whatFor}`,
    );
}

function contentOf({ listing }: Release, stagedAtSeconds: number): SlotContent {
  return { releaseDigest: listing.sha256, version: listing.version, stagedAtSeconds };
}
