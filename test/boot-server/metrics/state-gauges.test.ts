import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { createRegistry } from '../../../src/boot-server/metrics/registry.ts';
import { createStateGauges, type StateSource } from '../../../src/boot-server/metrics/state-gauges.ts';
import { samplesOf } from '../openmetrics.ts';

function createWorld(broken: Partial<StateSource> = {}) {
  const world = { nowMs: Date.parse('2026-11-21T00:00:00Z'), counts: 0 };
  const registry = createRegistry();
  const refresh = createStateGauges(registry, {
    repository: { current: () => undefined },
    readiness: { faults: async () => [] },
    channels: { listChannels: async () => [] },
    figures: {
      countNodes: async () => {
        world.counts += 1;
        return [{ status: 'enrolled', count: 3 }];
      },
      countSuspects: async () => 0,
      countOpenChallenges: async () => 0,
    },
    clock: { nowMs: () => world.nowMs },
    ...broken,
  });
  const samples = async () => samplesOf(await registry.metrics());
  return { world, refresh, samples };
}

test('a count that hangs is not started again before it has settled, however long it takes', async () => {
  let answer = (): void => {};
  let asked = 0;
  const hanging = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const { world, refresh, samples } = createWorld({
    figures: {
      countNodes: async () => {
        asked += 1;
        await hanging;
        return [{ status: 'enrolled', count: 3 }];
      },
      countSuspects: async () => 0,
      countOpenChallenges: async () => 0,
    },
  });
  const scrapes = [];
  for (let scrape = 0; scrape < 5; scrape += 1) {
    scrapes.push(refresh());
    world.nowMs += 60_000;
    await setImmediate();
  }
  expect(asked).toBe(1);
  answer();
  await Promise.all(scrapes);
  expect((await samples()).get('bootward_nodes{status="enrolled"}')).toBe(3);
  await refresh();
  expect(asked, 'the earlier has settled').toBe(2);
});

test('a readiness that cannot be told is 0, and no scrape fails of it', async () => {
  const faults = async (): Promise<string[]> => {
    throw new Error('readiness is not there');
  };
  const { world, refresh, samples } = createWorld({ readiness: { faults } });
  for (let scrape = 0; scrape < 2; scrape += 1) {
    await refresh();
    expect((await samples()).get('bootward_ready')).toBe(0);
    world.nowMs += 10_000;
  }
});

test('what is well is counted once in 10 seconds', async () => {
  const { world, refresh, samples } = createWorld();
  await refresh();
  world.nowMs += 9_000;
  await refresh();
  expect(world.counts).toBe(1);
  expect((await samples()).get('bootward_ready')).toBe(1);
  world.nowMs += 1_000;
  await refresh();
  expect(world.counts).toBe(2);
});
