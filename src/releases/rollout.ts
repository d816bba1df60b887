import { sha256, utf8Bytes } from '../core/bytes.ts';
import type { NodeHistory } from './node-releases.ts';
import { describeStep, type RolloutPlan } from './rollout-plan.ts';

/**
 * `running` → `paused` and back; `halted` by itself, and on again when an operator resumes; then `completed` or
 * `aborted`, for ever.
 */
export type RolloutPhase = 'running' | 'paused' | 'halted' | 'completed' | 'aborted';

/** Moving nodes from the active slot's release to the other slot's. */
export interface Rollout {
  readonly id: string;
  readonly releaseDigest: string;
  readonly version: number;
  readonly plan: RolloutPlan;
  /** Index into the plan's steps. */
  readonly step: number;
  readonly stepStartedAtSeconds: number;
  /** When enough of the step's nodes had reported: the soak begins. */
  readonly quorumAtSeconds?: number;
  readonly state: RolloutPhase;
  /** Why it is paused, halted or ended. */
  readonly reason?: string;
  readonly startedAtSeconds: number;
  readonly endedAtSeconds?: number;
}

/** How the nodes of a rollout stand with its release. */
export interface RolloutTally {
  /** Nodes of the channel that the present step and those before it take in. */
  readonly cohort: number;
  readonly healthy: number;
  /** Booted into it, and their window is open. */
  readonly open: number;
  /** Failed a try, and have not come back for another, or were given another release meanwhile. */
  readonly away: number;
  /** Of those: not heard of for longer than a health window. */
  readonly lost: number;
  /** Have given it up, or are gone: revoked, or in another channel, before they were healthy. */
  readonly failed: number;
}

export const EMPTY_TALLY: RolloutTally = { cohort: 0, healthy: 0, open: 0, away: 0, lost: 0, failed: 0 };

export function isOpen({ state }: Rollout): boolean {
  return state === 'running' || state === 'paused' || state === 'halted';
}

/** Whether the steps up to the present one take this node in. The same node has another turn in another rollout. */
export function isInCohort(
  rollout: Pick<Rollout, 'id' | 'plan' | 'step'>,
  node: Pick<NodeHistory, 'nodeId' | 'group'>,
): boolean {
  return rollout.plan.steps
    .slice(0, rollout.step + 1)
    .some((step) =>
      step.kind === 'group' ? step.group === node.group : isWithin(step.percent, rollout.id, node.nodeId),
    );
}

/**
 * How many more nodes may try the release now. Whoever tries it may turn out broken, so those who try and those who
 * failed are together never more than the budget.
 */
export function roomIn(
  { plan }: Pick<Rollout, 'plan'>,
  tally: Pick<RolloutTally, 'open' | 'away' | 'failed'>,
): number {
  const trying = tally.open + tally.away;
  return Math.max(0, Math.min(plan.failureBudget - tally.failed - trying, plan.concurrency - trying));
}

/**
 * What time and its nodes' experience make of a running rollout: the same, soaking, on its next step, completed, or
 * halted.
 */
export function advanceRollout(
  rollout: Rollout,
  on: { tally: RolloutTally; isListed: boolean; nowSeconds: number },
): Rollout {
  if (rollout.state !== 'running') return rollout;
  const { tally, nowSeconds } = on;
  const fault = findFault(rollout, on);
  if (fault !== undefined) return { ...rollout, state: 'halted', reason: fault };
  if (!hasQuorum(rollout, tally)) return rollout;
  const { quorumAtSeconds = nowSeconds, ...before } = rollout;
  if (nowSeconds < quorumAtSeconds + rollout.plan.soakSeconds)
    return rollout.quorumAtSeconds === undefined ? { ...rollout, quorumAtSeconds } : rollout;
  if (rollout.step + 1 < rollout.plan.steps.length)
    return { ...before, step: rollout.step + 1, stepStartedAtSeconds: nowSeconds };
  return { ...before, state: 'completed', endedAtSeconds: nowSeconds };
}

function findFault(
  { version, plan }: Rollout,
  { tally, isListed }: { tally: RolloutTally; isListed: boolean },
): string | undefined {
  if (!isListed)
    return `version ${version} is no longer listed by its release keys, or its artifacts are damaged`;
  if (tally.failed + tally.lost >= plan.failureBudget)
    return `version ${version}: ${describeFailures(tally)}, and the failure budget is ${countNodes(plan.failureBudget)}`;
  const isHopeless =
    tally.cohort > 0 && tally.healthy + tally.open === 0 && tally.failed + tally.lost >= tally.cohort;
  return isHopeless
    ? `version ${version}: ${describeFailures(tally)}, which is every node whose turn it was`
    : undefined;
}

/** What a running rollout waits for, for a person. */
export function describeWait(rollout: Rollout, tally: RolloutTally, nowSeconds: number): string {
  if (rollout.state !== 'running') return 'nothing: it does not run';
  if (rollout.quorumAtSeconds !== undefined) {
    const left = Math.max(0, rollout.quorumAtSeconds + rollout.plan.soakSeconds - nowSeconds);
    return `its soak time: ${left} seconds`;
  }
  const missing = quorumOf(rollout, tally) - reportedIn(tally);
  const room = roomIn(rollout, tally);
  const who = missing > 0 ? `reports of ${countNodes(missing)}` : 'a first node that is healthy';
  const when = tally.open > 0 ? `${countNodes(tally.open)} booting` : 'they join when they boot';
  return `${who} (${when}; room for ${room} more)`;
}

export function describeRollout(rollout: Rollout): string {
  const { plan, step, state, version, reason } = rollout;
  const present = plan.steps[step];
  const where =
    present && isOpen(rollout) ? `, step ${step + 1} of ${plan.steps.length} (${describeStep(present)})` : '';
  return `version ${version} ${state}${where}${reason === undefined ? '' : `: ${reason}`}`;
}

function describeFailures({ failed, lost, healthy }: RolloutTally): string {
  const parts = [
    ...(failed > 0 ? [`${countNodes(failed)} gave it up and fell back`] : []),
    ...(lost > 0 ? [`${countNodes(lost)} failed and did not come back`] : []),
  ];
  return `${parts.join(', ')} (${healthy} healthy)`;
}

function countNodes(count: number): string {
  return `${count} ${count === 1 ? 'node' : 'nodes'}`;
}

/** Enough have reported, and one at least that it is well. */
function hasQuorum(rollout: Rollout, tally: RolloutTally): boolean {
  const isProven = tally.cohort === 0 || tally.healthy > 0;
  return isProven && reportedIn(tally) >= quorumOf(rollout, tally);
}

function quorumOf({ plan }: Rollout, { cohort }: RolloutTally): number {
  return Math.ceil((cohort * plan.quorumPercent) / 100);
}

function reportedIn({ healthy, failed, lost }: RolloutTally): number {
  return healthy + failed + lost;
}

const POSITIONS = 2 ** 32;

function isWithin(percent: number, rolloutId: string, nodeId: string): boolean {
  if (percent === 100) return true;
  const digest = sha256(utf8Bytes(`bootward rollout v1\0${rolloutId}\0${nodeId}`));
  const position = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  return position < (percent / 100) * POSITIONS;
}
