import type { Release } from './catalog.ts';
import {
  changed,
  openRollout,
  otherSlot,
  requireContent,
  type SlottedChannel,
  stage,
  switchSlots,
} from './channel.ts';
import { ReleaseError } from './errors.ts';
import type { Rollout } from './rollout.ts';
import { checkPlan, type RolloutPlan } from './rollout-plan.ts';

/**
 * Begins to move nodes to a listed release; stages it first where it is not staged yet.
 *
 * @throws {ReleaseError} `plan-invalid`, `rollout-open`, `slot-active`, `slot-empty`: nothing is active to move from
 */
export function startRollout(
  state: SlottedChannel,
  on: { id: string; release: Release; plan: RolloutPlan; atSeconds: number },
): SlottedChannel {
  const { id, release, atSeconds } = on;
  const plan = checkPlan(on.plan);
  requireContent(state, state.active);
  const staged = stage(state, release, atSeconds);
  const { sha256: releaseDigest, version } = release.listing;
  const rollout: Rollout = {
    id,
    releaseDigest,
    version,
    plan,
    step: 0,
    stepStartedAtSeconds: atSeconds,
    state: 'running',
    startedAtSeconds: atSeconds,
  };
  return changed({ ...staged, slots: { ...staged.slots, ...unproven(staged) }, rollout });
}

/** While it rolls out it is nobody's fallback, even if it was active once. */
function unproven(state: SlottedChannel): SlottedChannel['slots'] {
  const slot = otherSlot(state.active);
  const { activatedAtSeconds: _, ...content } = requireContent(state, slot);
  return { [slot]: content };
}

/** Whoever has begun goes on; nobody new begins. @throws {ReleaseError} */
export function pauseRollout(state: SlottedChannel, reason?: string): SlottedChannel {
  const rollout = requireRollout(state, ['running'], 'pause');
  return withRollout(state, { ...rollout, state: 'paused', ...(reason !== undefined && { reason }) });
}

/** On from where it stood, also after it halted: then with a larger budget, or it halts again. @throws {ReleaseError} */
export function resumeRollout(
  state: SlottedChannel,
  on: { failureBudget?: number; atSeconds: number },
): SlottedChannel {
  const {
    reason: _,
    quorumAtSeconds: __,
    ...rollout
  } = requireRollout(state, ['paused', 'halted'], 'resume');
  const { failureBudget = rollout.plan.failureBudget, atSeconds } = on;
  const plan = checkPlan({ ...rollout.plan, failureBudget });
  return withRollout(state, { ...rollout, plan, state: 'running', stepStartedAtSeconds: atSeconds });
}

/** All nodes go back to the active slot at their next boot. @throws {ReleaseError} */
export function abortRollout(
  state: SlottedChannel,
  on: { reason?: string; atSeconds: number },
): SlottedChannel {
  const rollout = requireRollout(state, ['running', 'paused', 'halted'], 'abort');
  const reason = on.reason === undefined ? {} : { reason: on.reason };
  return withRollout(state, { ...rollout, ...reason, state: 'aborted', endedAtSeconds: on.atSeconds });
}

/**
 * Makes the other slot active now, whatever steps were left.
 *
 * @throws {ReleaseError} `slot-empty`
 */
export function promote(state: SlottedChannel, atSeconds: number): SlottedChannel {
  const rollout = openRollout(state);
  if (rollout === undefined) return switchSlots(state, atSeconds);
  return completeRollout(state, { ...rollout, state: 'completed', endedAtSeconds: atSeconds }, atSeconds);
}

/** What {@link advanceRollout} made of it, in the channel: a completed one switches slots. */
export function applyAdvance(state: SlottedChannel, advanced: Rollout, atSeconds: number): SlottedChannel {
  return advanced.state === 'completed'
    ? completeRollout(state, advanced, atSeconds)
    : withRollout(state, advanced);
}

function completeRollout(state: SlottedChannel, completed: Rollout, atSeconds: number): SlottedChannel {
  const content = requireContent(state, otherSlot(state.active));
  if (content.releaseDigest !== completed.releaseDigest)
    throw new ReleaseError('slot-empty', `the other slot does not hold version ${completed.version}`);
  return switchSlots({ ...state, rollout: completed }, atSeconds);
}

function withRollout(state: SlottedChannel, rollout: Rollout): SlottedChannel {
  return changed({ ...state, rollout });
}

function requireRollout(state: SlottedChannel, states: readonly Rollout['state'][], verb: string): Rollout {
  const { rollout, channel } = state;
  if (rollout === undefined)
    throw new ReleaseError('rollout-missing', `channel ${channel} has no rollout to ${verb}`);
  if (states.includes(rollout.state)) return rollout;
  throw new ReleaseError(
    'rollout-wrong-state',
    `the rollout of version ${rollout.version} is ${rollout.state}: to ${verb} it, it must be ${states.join(' or ')}`,
  );
}
