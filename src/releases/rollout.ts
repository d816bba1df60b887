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
  /** Failed, and have not come back for another boot. */
  readonly away: number;
  /** Of those: for longer than a health window. */
  readonly lost: number;
  /** Have given it up. */
  readonly failed: number;
  readonly lastHealthyAtSeconds?: number;
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
 * What time and its nodes' experience make of a running rollout: the same, on its next step, completed, or halted.
 */
export function advanceRollout(
  rollout: Rollout,
  on: { tally: RolloutTally; isListed: boolean; nowSeconds: number },
): Rollout {
  if (rollout.state !== 'running') return rollout;
  const { tally, nowSeconds } = on;
  if (!on.isListed)
    return halt(
      rollout,
      `version ${rollout.version} is no longer listed by its release keys, or its artifacts are damaged`,
    );
  const broken = tally.failed + tally.lost;
  if (broken >= rollout.plan.failureBudget) return halt(rollout, describeFailures(rollout, tally));
  if (!isStepDone(rollout, tally, nowSeconds)) return rollout;
  if (rollout.step + 1 < rollout.plan.steps.length)
    return { ...rollout, step: rollout.step + 1, stepStartedAtSeconds: nowSeconds };
  return { ...rollout, state: 'completed', endedAtSeconds: nowSeconds };
}

export function describeRollout(rollout: Rollout): string {
  const { plan, step, state, version, reason } = rollout;
  const present = plan.steps[step];
  const where =
    present && isOpen(rollout) ? `, step ${step + 1} of ${plan.steps.length} (${describeStep(present)})` : '';
  return `version ${version} ${state}${where}${reason === undefined ? '' : `: ${reason}`}`;
}

function halt(rollout: Rollout, reason: string): Rollout {
  return { ...rollout, state: 'halted', reason };
}

function describeFailures({ version, plan }: Rollout, { failed, lost, healthy }: RolloutTally): string {
  const parts = [
    ...(failed > 0 ? [`${countNodes(failed)} gave it up and fell back`] : []),
    ...(lost > 0 ? [`${countNodes(lost)} failed and did not come back`] : []),
  ];
  return `version ${version}: ${parts.join(', ')} (${healthy} healthy), and the failure budget is ${countNodes(plan.failureBudget)}`;
}

function countNodes(count: number): string {
  return `${count} ${count === 1 ? 'node' : 'nodes'}`;
}

/** Enough have reported, nobody's window is open, and the last good news is a soak time ago. */
function isStepDone(rollout: Rollout, tally: RolloutTally, nowSeconds: number): boolean {
  const { plan, stepStartedAtSeconds } = rollout;
  const reported = tally.healthy + tally.failed + tally.away;
  const quorum = Math.ceil((tally.cohort * plan.quorumPercent) / 100);
  const since = Math.max(stepStartedAtSeconds, tally.lastHealthyAtSeconds ?? 0);
  const isProven = tally.cohort === 0 || tally.healthy > 0;
  return tally.open === 0 && isProven && reported >= quorum && nowSeconds >= since + plan.soakSeconds;
}

const POSITIONS = 2 ** 32;

function isWithin(percent: number, rolloutId: string, nodeId: string): boolean {
  if (percent === 100) return true;
  const digest = sha256(utf8Bytes(`bootward rollout v1\0${rolloutId}\0${nodeId}`));
  const position = new DataView(digest.buffer, digest.byteOffset).getUint32(0);
  return position < (percent / 100) * POSITIONS;
}
