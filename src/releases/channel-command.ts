import { newestRelease, type Release, requireListed } from './catalog.ts';
import {
  type ChannelState,
  followNewest,
  otherSlot,
  requireContent,
  rollBack,
  type SlottedChannel,
  stage,
  useSlots,
} from './channel.ts';
import { ReleaseError } from './errors.ts';
import type { HealthRules } from './node-releases.ts';
import { abortRollout, pauseRollout, promote, resumeRollout, startRollout } from './rollout-commands.ts';
import type { RolloutPlan } from './rollout-plan.ts';

/** What an operator can tell a channel. */
export type ChannelCommand =
  | { kind: 'stage'; version: number }
  | { kind: 'start-rollout'; version: number; plan: RolloutPlan }
  | { kind: 'resume-rollout'; failureBudget?: number }
  | { kind: 'pause-rollout' | 'abort-rollout'; reason?: string }
  | { kind: 'set-health'; health: HealthRules }
  | { kind: 'promote' | 'roll-back' | 'follow' };

interface Circumstances {
  /** Of the channel. */
  listed: readonly Release[];
  atSeconds: number;
  /** For a rollout that begins. */
  rolloutId: string;
}

/**
 * The channel after the command; the same when there is nothing to change. The first command that speaks of slots
 * makes a channel that followed the newest release use them.
 *
 * @throws {ReleaseError} saying what stands in the way
 */
export function applyCommand(state: ChannelState, command: ChannelCommand, on: Circumstances): ChannelState {
  const { listed, atSeconds } = on;
  switch (command.kind) {
    case 'follow':
      return state.mode === 'follow' ? state : followNewest(state);
    case 'stage': {
      const release = requireListed(listed, state.channel, command.version);
      return stage(slotsFor(state, on, release), release, atSeconds);
    }
    case 'start-rollout': {
      const release = requireListed(listed, state.channel, command.version);
      const { plan } = command;
      return startRollout(slotsFor(state, on, release), { id: on.rolloutId, release, plan, atSeconds });
    }
    case 'set-health':
      return useSlots(state, { inForce: newestRelease(listed), atSeconds, health: command.health });
    case 'pause-rollout':
      return pauseRollout(slotsFor(state, on), command.reason);
    case 'resume-rollout':
      return resumeRollout(slotsFor(state, on), { ...command, atSeconds });
    case 'abort-rollout':
      return abortRollout(slotsFor(state, on), { ...command, atSeconds });
    case 'promote':
      return promote(requireOtherListed(slotsFor(state, on), listed), atSeconds);
    case 'roll-back':
      return rollBack(requireOtherListed(slotsFor(state, on), listed), atSeconds);
  }
}

/** Nodes would go on getting the active slot's, and nobody would know. */
function requireOtherListed(state: SlottedChannel, listed: readonly Release[]): SlottedChannel {
  const content = requireContent(state, otherSlot(state.active));
  if (listed.some(({ listing }) => listing.sha256 === content.releaseDigest)) return state;
  throw new ReleaseError(
    'release-not-listed',
    `version ${content.version} in slot ${otherSlot(state.active)} is not listed any more, so no node would get it: stage one that is`,
  );
}

/** Where a channel followed the newest until now, that is what is in force, unless it is the very one to come. */
function slotsFor(
  state: ChannelState,
  { listed, atSeconds }: Circumstances,
  coming?: Release,
): SlottedChannel {
  const inForce = newestRelease(listed.filter((release) => release !== coming));
  return useSlots(state, { inForce, atSeconds });
}
