import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Answer } from '../../../src/fleet-sim/wire/https-client.ts';
import { FloorWorld } from './floor-world.ts';
import { reasonsOf } from './published-server.ts';

let world: FloorWorld;

beforeEach(async () => {
  world = await FloorWorld.create();
  await world.boot();
  expect((await world.health(world.recordNow())).json.verdict).toBe('accept');
});
afterEach(() => world.close());

function reset(): Promise<Answer> {
  const body = { reason: 'TPM cleared at the workbench' };
  return world.server.operators(`/admin/v1/nodes/${world.node.id}/reset-floor`, { method: 'POST', body });
}

const shown = async () => {
  const { floor, floorReset } = await world.nodeShown();
  return { floor, floorReset };
};

const afterReset = async () => {
  await world.node.powerCycle();
  return world.boot();
};

describe('P8 the floor of a node that runs is reset', () => {
  test('and stays so when its system goes on to show the old one', async () => {
    expect((await reset()).json).toMatchObject({ floor: null, floorReset: true });
    expect((await world.health(world.recordNow())).json.verdict).toBe('accept');
    expect(await shown()).toEqual({ floor: null, floorReset: true });
    expect((await afterReset()).json.verdict, 'the record is gone').toBe('accept');
    expect(await shown()).toEqual({ floor: { shown: false }, floorReset: false });
  });

  test('and nothing is asked of its system until it boots: it may show none', async () => {
    await reset();
    expect((await world.health()).json.verdict).toBe('accept');
    expect(await shown()).toEqual({ floor: null, floorReset: true });
  });

  test('its next boot may show a lower one, which counts from then on', async () => {
    await reset();
    await world.health(world.recordNow());
    await world.node.powerCycle();
    const lower = { snapshot: world.published().snapshot - 1 };
    expect((await world.boot(world.recordNow(lower))).json.verdict).toBe('accept');
    expect(await shown()).toMatchObject({ floor: { shown: true, ...lower }, floorReset: false });
    await world.health(world.recordNow());
    expect((await shown()).floor).toMatchObject(world.published());
    await world.node.powerCycle();
    expect(reasonsOf(await world.boot(world.recordNow(lower)))).toEqual(['floor-went-back']);
  });

  test('for one boot: the system of that boot has to show its record again', async () => {
    await reset();
    expect((await afterReset()).json.verdict).toBe('accept');
    expect(reasonsOf(await world.health())).toEqual(['floor-missing']);
  });

  test('and a boot that is refused uses it up no more than its system does', async () => {
    await reset();
    await world.node.powerCycle();
    const refused = await world.send('boot', undefined, {
      pcrs: (pcrs) => pcrs.set(14, Buffer.alloc(32, 1)),
    });
    expect(reasonsOf(refused)).toEqual(['pcr14-not-zero']);
    expect((await shown()).floorReset).toBe(true);
    expect((await world.boot()).json.verdict).toBe('accept');
    expect((await shown()).floorReset).toBe(false);
  });
});
