import { existsSync } from 'node:fs';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { isBadOn } from '../../src/fleet-sim/behaviour.ts';
import { powerOnAll } from '../../src/fleet-sim/fleet.ts';
import { reportOf } from '../../src/fleet-sim/fleet-report.ts';
import type { Machine } from '../../src/fleet-sim/machine.ts';
import { CHANNEL } from '../boot-server/api/release-desk.ts';
import { createFleetWorld, type FleetWorld } from './fleet-world.ts';
import { driveRollout, type PlanBody, rolloutOf } from './rollout-drive.ts';

// 200 machines in software, one in twenty of them bad on the new releases, against the real server in a process of its
// own. Its folder is in memory where it can be: what this test waits for is the plan, not the disk.

const NODES = 200;
const BAD = 10;
const PLAN = { steps: ['5%', '25%', '50%', '100%'], soakSeconds: 0, concurrency: 50, quorumPercent: 100 };
const POWER = { maxBoots: 12, downloads: false, concurrency: 8 };
const SHARED_MEMORY = '/dev/shm';

let world: FleetWorld;

beforeAll(async () => {
  if (existsSync(SHARED_MEMORY)) vi.stubEnv('TMPDIR', SHARED_MEMORY);
  world = await createFleetWorld({
    nodes: NODES,
    bad: { nodes: BAD, versions: [2, 3], ways: ['comes-back', 'unhealthy', 'silent'] },
  });
  await world.operate(`channels/${CHANNEL}/stage`, { version: 1 });
  await world.operate(`channels/${CHANNEL}/health`, { maxTries: 2, healthWindowSeconds: 3 });
}, 120_000);

afterAll(async () => {
  await world.close();
  vi.unstubAllEnvs();
});

const isGood = ({ behaviour }: Machine) => behaviour.kind === 'healthy';

async function publish(version: number): Promise<void> {
  await world.published.desk.addRelease(version);
  await world.published.publishDesk();
}

/** Of each release, how many of these run it then. */
async function powerOn(machines: readonly Machine[]): Promise<Map<number | undefined, number>> {
  await powerOnAll(machines, POWER);
  const running = Map.groupBy(machines, (machine) => machine.lastBoot()?.version);
  return new Map([...running].map(([version, { length }]) => [version, length]));
}

test('a fleet enrols and is well on release 1', async () => {
  const startedAt = performance.now();
  const turns = await powerOnAll(world.machines, POWER);
  const report = reportOf(turns, (performance.now() - startedAt) / 1000);
  expect(report.faults).toEqual({});
  expect([report.enrolments, report.endings]).toEqual([NODES, { up: NODES }]);
}, 120_000);

test('a rollout with a budget below the bad ones halts when it is used up, and breaks no further machine', async () => {
  const plan: PlanBody = { ...PLAN, failureBudget: 4 };
  await publish(2);
  const drive = await driveRollout(world, { version: 2, plan, seconds: 90 });
  const { state, reason, tally } = drive.end;
  expect([state, reason]).toEqual(['halted', expect.stringContaining('the failure budget is 4 nodes')]);
  expect(tally.failed + tally.away + tally.open, 'all that are not well').toBe(4);
  expect(drive.broken.size, 'machines that release 2 broke').toBe(4);
  expect(drive.early).toEqual([]);

  const untouched = world.machines.filter((machine) => !drive.tried.has(machine));
  expect(await powerOn(untouched.slice(0, 20)), 'nobody joins any more').toEqual(new Map([[1, 20]]));
  const moved = [...drive.tried].filter(isGood);
  expect(await powerOn(moved.slice(0, 5)), 'who is well on it stays').toEqual(new Map([[2, 5]]));
  expect(await powerOn([...drive.broken]), 'who is not has fallen back').toEqual(new Map([[1, 4]]));

  await world.operate(`channels/${CHANNEL}/rollout/abort`, {});
  expect(await powerOn(moved), 'after the abort').toEqual(new Map([[1, moved.length]]));
}, 120_000);

test('one with a budget above them completes: good machines are well on it, bad ones have fallen back', async () => {
  const plan: PlanBody = { ...PLAN, failureBudget: 16 };
  await publish(3);
  const drive = await driveRollout(world, { version: 3, plan, seconds: 90 });
  expect([drive.end.state, drive.end.reason]).toEqual(['completed', null]);
  const cohorts = [...drive.cohorts.values()];
  expect(cohorts.map(({ tried }) => tried)).toEqual(cohorts.map(({ called }) => called));
  // Who has a turn is drawn: of 200, by six standard deviations no more than this.
  const [first = 0, second = 0, third = 0, last = 0] = cohorts.map(({ called }) => called);
  expect([first <= 29, second <= 87, third <= 143, last]).toEqual([true, true, true, NODES]);
  expect(drive.early).toEqual([]);
  expect(drive.tried.size).toBe(NODES);

  const good = world.machines.filter(isGood);
  const ran = Map.groupBy(good, (machine) => machine.lastBoot()?.version);
  expect(ran.get(3)?.length, 'good machines that run release 3').toBe(NODES - BAD);
  const bad = world.machines.filter(({ behaviour }) => isBadOn(behaviour, 3));
  // One that hung for the first time when the last step was done has a try left.
  await powerOn(bad);
  expect(await powerOn(bad), 'bad ones fall back').toEqual(new Map([[1, BAD]]));
  expect(await powerOn(bad), 'and stay there').toEqual(new Map([[1, BAD]]));
  const { nodes } = await rolloutOf(world);
  const experiences = Map.groupBy(nodes, ({ experience }) => experience);
  expect(experiences.get('healthy')?.length).toBe(NODES - BAD);
  expect(experiences.get('failed')?.length).toBe(BAD);
}, 120_000);
