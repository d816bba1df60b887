import { expect, test } from 'vitest';
import { powerOnAll } from '../../src/fleet-sim/fleet.ts';
import { reportOf } from '../../src/fleet-sim/fleet-report.ts';
import type { Machine, PowerOn } from '../../src/fleet-sim/machine.ts';

const LIMITS = { concurrency: 3, maxBoots: 2, downloads: false };
const UP: PowerOn = { boots: [], enrolled: false, ending: { kind: 'up' } };

/** Machines that do nothing but wait for each other's turns. */
function fakeMachines(count: number, powerOn: (index: number) => Promise<PowerOn>): Machine[] {
  return Array.from(
    { length: count },
    (_, index) => ({ powerOn: () => powerOn(index) }) as Partial<Machine> as Machine,
  );
}

test('no more machines run at one time than was asked for, and each has one turn', async () => {
  let running = 0;
  let most = 0;
  const machines = fakeMachines(10, async () => {
    running += 1;
    most = Math.max(most, running);
    await new Promise((resolve) => setImmediate(resolve));
    running -= 1;
    return UP;
  });
  const turns = await powerOnAll(machines, LIMITS);
  expect(most).toBe(3);
  expect(new Set(turns.map(({ machine }) => machine))).toEqual(new Set(machines));
  expect(turns.length).toBe(10);
});

test('the fault of one machine is its own', async () => {
  const machines = fakeMachines(4, async (index) => {
    if (index === 1) throw new Error('the cable is out');
    return UP;
  });
  const turns = await powerOnAll(machines, LIMITS);
  const report = reportOf(turns, 1);
  expect(report.endings).toEqual({ up: 3, broken: 1 });
  expect(report.faults).toEqual({ 'the cable is out': 1 });
});

test('after an abort nobody is switched on', async () => {
  const stop = new AbortController();
  const machines = fakeMachines(10, async (index) => {
    if (index === 2) stop.abort();
    return UP;
  });
  const turns = await powerOnAll(machines, { ...LIMITS, concurrency: 1, signal: stop.signal });
  expect(turns.length).toBe(3);
});

test('a report counts boots by release and how they went', () => {
  const boot = { releaseDigest: '00', downloadedBytes: 5 };
  const powerOn: PowerOn = {
    enrolled: true,
    boots: [
      { ...boot, version: 2, run: { kind: 'panics' }, milliseconds: 10 },
      {
        ...boot,
        version: 2,
        run: { kind: 'reports', health: 'unhealthy', afterSeconds: 0 },
        milliseconds: 20,
      },
      { ...boot, version: 1, run: { kind: 'reports', health: 'healthy', afterSeconds: 0 }, milliseconds: 30 },
    ],
    ending: { kind: 'up' },
  };
  const [machine] = fakeMachines(1, async () => powerOn) as [Machine];
  expect(reportOf([{ kind: 'done', machine, powerOn }], 2)).toMatchObject({
    nodes: 1,
    enrolments: 1,
    boots: 3,
    bootsPerSecond: 1.5,
    bootMilliseconds: { median: 20, p99: 20 },
    downloadedBytes: 15,
    versions: {
      1: { healthy: 1, unhealthy: 0, panicked: 0, hung: 0 },
      2: { healthy: 0, unhealthy: 1, panicked: 1, hung: 0 },
    },
    endings: { up: 1 },
    faults: {},
  });
});
