import { ReleaseError } from './errors.ts';

/** Who joins: a share of the channel's nodes, or all nodes that an operator put into a group. */
export type RolloutStep =
  | { readonly kind: 'percent'; readonly percent: number }
  | { readonly kind: 'group'; readonly group: string };

export interface RolloutPlan {
  /** Each step adds to those before it. */
  readonly steps: readonly RolloutStep[];
  /** How long a step's nodes must have been healthy before the next step begins. */
  readonly soakSeconds: number;
  /**
   * How many nodes may ever be broken by the release, at most. So no more than this many try it at one time, less
   * those that have failed already; when all of it is used up the rollout halts.
   */
  readonly failureBudget: number;
  /** How many nodes may try the release at one time, within the budget. */
  readonly concurrency: number;
  /** The share of a step's nodes that must have reported before the next step begins. */
  readonly quorumPercent: number;
}

/** What an operator starts with who says nothing: one in ten, a half, then all. */
export const DEFAULT_PLAN: RolloutPlan = {
  steps: [
    { kind: 'percent', percent: 10 },
    { kind: 'percent', percent: 50 },
    { kind: 'percent', percent: 100 },
  ],
  soakSeconds: 600,
  failureBudget: 3,
  concurrency: 100,
  quorumPercent: 80,
};

const MAX_STEPS = 32;
const MAX_NODES = 1_000_000;
const MAX_SOAK_SECONDS = 90 * 86_400;
const GROUP = /^[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?$/;

/** 1 to 32 of a-z, 0-9 and inner hyphens, and no number, which would be a share. */
export function isGroupName(value: unknown): value is string {
  return typeof value === 'string' && GROUP.test(value) && !/^\d+$/.test(value);
}

/**
 * A plan must be able to end: its last step is everybody.
 *
 * @throws {ReleaseError} `plan-invalid`
 */
export function checkPlan(plan: RolloutPlan): RolloutPlan {
  const { steps } = plan;
  if (steps.length === 0 || steps.length > MAX_STEPS) invalid(`1 to ${MAX_STEPS} steps`);
  for (const step of steps) checkStep(step);
  const percents = steps.flatMap((step) => (step.kind === 'percent' ? [step.percent] : []));
  if (percents.some((percent, index) => percent <= (percents[index - 1] ?? 0)))
    invalid('each percentage above the one before it');
  const last = steps.at(-1);
  if (last?.kind !== 'percent' || last.percent !== 100) invalid('a last step of 100 percent');
  requireInteger('soakSeconds', plan.soakSeconds, { from: 0, to: MAX_SOAK_SECONDS });
  requireInteger('failureBudget', plan.failureBudget, { from: 1, to: MAX_NODES });
  requireInteger('concurrency', plan.concurrency, { from: 1, to: MAX_NODES });
  requireInteger('quorumPercent', plan.quorumPercent, { from: 0, to: 100 });
  return plan;
}

/** `10`, `10%` or the name of a group; and what {@link describeStep} makes of it. @throws {ReleaseError} `plan-invalid` */
export function parseStep(text: string): RolloutStep {
  const percent = /^(\d{1,3}) ?%?$/.exec(text)?.[1];
  const step: RolloutStep =
    percent === undefined
      ? { kind: 'group', group: text.replace(/^group /, '') }
      : { kind: 'percent', percent: Number(percent) };
  checkStep(step);
  return step;
}

export function describeStep(step: RolloutStep): string {
  return step.kind === 'percent' ? `${step.percent} %` : `group ${step.group}`;
}

function checkStep(step: RolloutStep): void {
  if (step.kind === 'percent') requireInteger('percent', step.percent, { from: 1, to: 100 });
  else if (!isGroupName(step.group)) invalid(`a group's name, and "${step.group}" is none`);
}

function requireInteger(what: string, value: number, { from, to }: { from: number; to: number }): void {
  if (!Number.isInteger(value) || value < from || value > to)
    invalid(`${what} from ${from} to ${to}, and it is ${value}`);
}

function invalid(expected: string): never {
  throw new ReleaseError('plan-invalid', `a rollout plan needs ${expected}`);
}
