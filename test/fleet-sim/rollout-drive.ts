import { setTimeout as delay } from 'node:timers/promises';
import { isBadOn } from '../../src/fleet-sim/behaviour.ts';
import { powerOnAll, type Turn } from '../../src/fleet-sim/fleet.ts';
import type { Machine } from '../../src/fleet-sim/machine.ts';
import { isInCohort } from '../../src/releases/rollout.ts';
import { parseStep } from '../../src/releases/rollout-plan.ts';
import { CHANNEL } from '../boot-server/api/release-desk.ts';
import type { FleetWorld } from './fleet-world.ts';

export interface PlanBody {
  steps: string[];
  soakSeconds: number;
  failureBudget: number;
  concurrency: number;
  quorumPercent: number;
}

/** GET /admin/v1/channels/{channel}/rollout */
export interface RolloutView {
  id: string;
  state: string;
  /** From 1. */
  step: number;
  version: number;
  reason: string | null;
  tally: Record<'cohort' | 'healthy' | 'open' | 'away' | 'lost' | 'failed', number>;
  nodes: {
    id: string;
    experience: 'trying' | 'healthy' | 'failed';
    lastBoot: { outcome: 'open' | 'healthy' | 'failed' };
    lastFailure: { kind: string } | null;
  }[];
}

/** What happened while somebody switched the machines of each step on and off. */
export interface Drive {
  /** As it was when the rollout ran no more. */
  end: RolloutView;
  /** Steps that were seen, from 1. */
  steps: Set<number>;
  /** Machines that ever ran the new release. */
  tried: Set<Machine>;
  /** Those for which it is bad. */
  broken: Set<Machine>;
  /** Machines that were given it although no step up to the present one took them in. */
  early: Machine[];
  turns: Turn[];
}

const POWER = { maxBoots: 12, downloads: false };
const MAX_CONCURRENCY = 8;
/** Machines outside a step that are switched on when it begins: they must get what they had. */
const OUTSIDERS = 3;
/** So many turns of each place before the next look. */
const BATCH = 4;
const LOOK_AGAIN_MS = 250;

export function rolloutOf(world: FleetWorld): Promise<RolloutView> {
  return world.operate(`channels/${CHANNEL}/rollout`);
}

/**
 * Starts a rollout and switches on whose turn it is, as many at one time as it has room for, until it has ended by
 * itself or `seconds` have passed.
 */
export async function driveRollout(
  world: FleetWorld,
  on: { version: number; plan: PlanBody; seconds: number },
): Promise<Drive> {
  await world.operate(`channels/${CHANNEL}/rollout`, { version: on.version, plan: on.plan });
  const steps = on.plan.steps.map(parseStep);
  const drive = { steps: new Set<number>(), tried: new Set<Machine>(), early: [] as Machine[] };
  const turns: Turn[] = [];
  const deadline = Date.now() + on.seconds * 1000;
  let view = await rolloutOf(world);
  while (view.state === 'running' && Date.now() < deadline) {
    const isCalled = ({ node }: Machine) =>
      isInCohort({ id: view.id, plan: { ...on.plan, steps }, step: view.step - 1 }, { nodeId: node.id });
    const waiting = whoWaits(view, world.machines.filter(isCalled));
    if (!drive.steps.has(view.step) && isNewTo(view, waiting)) {
      const outside = world.machines.filter((machine) => !isCalled(machine)).slice(-OUTSIDERS);
      const looked = await powerOnAll(outside, { ...POWER, concurrency: OUTSIDERS });
      drive.early.push(...runningVersion(looked, on.version));
      turns.push(...looked);
    }
    drive.steps.add(view.step);
    const concurrency = Math.min(MAX_CONCURRENCY, roomIn(view, on.plan));
    if (waiting.length === 0 || concurrency <= 0) await delay(LOOK_AGAIN_MS);
    else turns.push(...(await powerOnAll(waiting.slice(0, BATCH * concurrency), { ...POWER, concurrency })));
    view = await rolloutOf(world);
  }
  drive.tried = new Set(runningVersion(turns, on.version));
  const broken = new Set([...drive.tried].filter(({ behaviour }) => isBadOn(behaviour, on.version)));
  return { ...drive, broken, turns, end: view };
}

/** As long as one has never tried it, the step cannot end. */
function isNewTo({ nodes }: RolloutView, waiting: readonly Machine[]): boolean {
  return waiting.some(({ node }) => nodes.every(({ id }) => id !== node.id));
}

/** Neither healthy on the new release nor given up, and with no boot that may still be reported. */
function whoWaits(view: RolloutView, called: readonly Machine[]): Machine[] {
  const known = new Map(view.nodes.map((node) => [node.id, node]));
  return called.filter(({ node }) => {
    const { experience, lastBoot } = known.get(node.id) ?? {};
    return experience === undefined || (experience === 'trying' && lastBoot?.outcome !== 'open');
  });
}

function roomIn({ tally }: RolloutView, plan: PlanBody): number {
  return plan.failureBudget - tally.failed - tally.open - tally.away;
}

function runningVersion(turns: readonly Turn[], version: number): Machine[] {
  return turns.flatMap((turn) =>
    turn.kind === 'done' && turn.powerOn.boots.some((boot) => boot.version === version) ? [turn.machine] : [],
  );
}
