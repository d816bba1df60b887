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
  /** By step, from 1: how many machines it takes in, and how many had ever run the new release when it ended. */
  cohorts: Map<number, { called: number; tried: number }>;
  /** Machines that ever ran the new release. */
  tried: Set<Machine>;
  /** Those for which it is bad. */
  broken: Set<Machine>;
  /** Machines that were given it although no step up to the present one took them in. */
  early: Machine[];
  turns: Turn[];
}

/** More at one time than the smaller budget has room for: it is the server that says no. */
const POWER = { maxBoots: 12, downloads: false, concurrency: 8 };
/** Machines outside a step that are switched on when it begins: they must get what they had. */
const OUTSIDERS = 3;
/** So many turns before the next look. */
const BATCH = 24;
const LOOK_AGAIN_MS = 250;

export function rolloutOf(world: FleetWorld): Promise<RolloutView> {
  return world.operate(`channels/${CHANNEL}/rollout`);
}

/**
 * Starts a rollout and switches on whose turn it is, until it has ended by itself or `seconds` have passed.
 */
export async function driveRollout(
  world: FleetWorld,
  on: { version: number; plan: PlanBody; seconds: number },
): Promise<Drive> {
  await world.operate(`channels/${CHANNEL}/rollout`, { version: on.version, plan: on.plan });
  const steps = on.plan.steps.map(parseStep);
  const drive = {
    cohorts: new Map<number, { called: number; tried: number }>(),
    tried: new Set<Machine>(),
    early: [] as Machine[],
  };
  const turns: Turn[] = [];
  const deadline = Date.now() + on.seconds * 1000;
  let view = await rolloutOf(world);
  while (view.state === 'running' && Date.now() < deadline) {
    const isCalled = ({ node }: Machine) =>
      isInCohort({ id: view.id, plan: { ...on.plan, steps }, step: view.step - 1 }, { nodeId: node.id });
    const waiting = whoWaits(view, { called: world.machines.filter(isCalled), plan: on.plan });
    if (!drive.cohorts.has(view.step) && isNewTo(view, waiting)) {
      const outside = world.machines.filter((machine) => !isCalled(machine)).slice(-OUTSIDERS);
      const looked = await powerOnAll(outside, POWER);
      drive.early.push(...runningVersion(looked, on.version));
      turns.push(...looked);
    }
    if (waiting.length === 0) await delay(LOOK_AGAIN_MS);
    else turns.push(...(await powerOnAll(waiting.slice(0, BATCH), POWER)));
    const tried = new Set(runningVersion(turns, on.version)).size;
    drive.cohorts.set(view.step, { called: view.tally.cohort, tried });
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

/**
 * Neither healthy on the new release nor given up, and with no boot that may still be reported. While all room is taken,
 * only those that have begun.
 */
function whoWaits(
  { tally, nodes }: RolloutView,
  on: { called: readonly Machine[]; plan: PlanBody },
): Machine[] {
  const known = new Map(nodes.map((node) => [node.id, node]));
  const hasRoom = tally.failed + tally.open + tally.away < on.plan.failureBudget;
  return on.called.filter(({ node }) => {
    const { experience, lastBoot } = known.get(node.id) ?? {};
    if (experience === undefined) return hasRoom;
    return experience === 'trying' && lastBoot?.outcome !== 'open';
  });
}

function runningVersion(turns: readonly Turn[], version: number): Machine[] {
  return turns.flatMap((turn) =>
    turn.kind === 'done' && turn.powerOn.boots.some((boot) => boot.version === version) ? [turn.machine] : [],
  );
}
