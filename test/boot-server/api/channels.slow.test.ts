import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import type { Answer } from '../../../src/fleet-sim/wire/https-client.ts';
import { PublishedServer } from './published-server.ts';
import { CHANNEL, type SignedRelease } from './release-desk.ts';

let world: PublishedServer;
let releases: Record<number, SignedRelease>;

beforeEach(async () => {
  world = await PublishedServer.publish(['rolloutCheckSeconds: 1']);
  releases = { 1: world.release };
});

afterEach(() => world.close());

async function publish(version: number): Promise<void> {
  releases[version] = await world.desk.addRelease(version);
  expect((await world.publishDesk()).status).toBe(200);
}

function tell(path: string, body: object = {}): Promise<Answer> {
  return world.operators(`/admin/v1/channels/${CHANNEL}/${path}`, { method: 'POST', body });
}

const channel = async () => (await world.operators(`/admin/v1/channels/${CHANNEL}`)).json;
const rollout = async () => (await world.operators(`/admin/v1/channels/${CHANNEL}/rollout`)).json;

/** A boot after a reset; answers the version that the node was given. */
async function boot(node: VirtualNode): Promise<number> {
  await node.powerCycle();
  return bootAgain(node);
}

async function bootAgain(node: VirtualNode): Promise<number> {
  const answer = await node.attest();
  expect(answer.status, String(answer.bytes)).toBe(200);
  return answer.json.release.version;
}

function report(node: VirtualNode, version: number): Promise<Answer> {
  return node.prove('health', releases[version]?.listing.sha256 ?? '');
}

/** All at once and in one step, unless told otherwise. */
const PLAN = { steps: ['100%'], soakSeconds: 0, failureBudget: 1 };

async function eventKinds(): Promise<string[]> {
  const { json } = await world.operators('/admin/v1/events');
  return json.events.map(({ kind }: { kind: string }) => kind);
}

describe('a channel that nobody told anything', () => {
  test('follows the newest release, and judges none', async () => {
    const node = await world.enrolledNode();
    for (let tries = 0; tries < 5; tries += 1) expect(await boot(node)).toBe(1);
    await publish(2);
    for (let tries = 0; tries < 5; tries += 1) expect(await boot(node)).toBe(2);
    expect(await channel()).toMatchObject({
      mode: 'follow',
      releases: [{ state: 'listed' }, { state: 'active' }],
    });
  });
});

describe('slots', () => {
  test('staging changes nothing for nodes, switching does at their next boot, and back', async () => {
    const node = await world.enrolledNode();
    await publish(2);
    await tell('stage', { version: 1 });
    expect(await channel()).toMatchObject({
      mode: 'slots',
      active: 'A',
      slots: { A: { version: 2, state: 'active' }, B: { version: 1, state: 'staged' } },
    });
    expect(await boot(node)).toBe(2);
    expect((await tell('rollback')).json).toMatchObject({ code: 'slot-empty' });
    expect((await tell('promote')).json).toMatchObject({
      active: 'B',
      slots: { A: { state: 'superseded' } },
    });
    expect(await boot(node)).toBe(1);
    expect((await tell('rollback')).status).toBe(200);
    expect(await boot(node)).toBe(2);
  });

  test('what is not listed cannot be staged, what is active need not be', async () => {
    expect((await tell('stage', { version: 7 })).json.code).toBe('release-not-listed');
    await publish(2);
    await tell('stage', { version: 1 });
    expect((await tell('stage', { version: 2 })).json.code).toBe('slot-active');
  });

  test('a release that is withdrawn from its slot is given to nobody', async () => {
    const node = await world.enrolledNode();
    await publish(2);
    await tell('stage', { version: 1 });
    await tell('promote');
    await world.desk.withdraw(`channel-${CHANNEL}`, world.release.listing.target);
    expect((await world.publishDesk()).status).toBe(200);
    expect(await channel()).toMatchObject({ slots: { B: { state: 'withdrawn' } } });
    expect(await boot(node)).toBe(2);
  });

  test('a node that has failed its tries is given the other slot, and stays there', async () => {
    const node = await world.enrolledNode();
    await publish(2);
    await tell('health', { maxTries: 2, healthWindowSeconds: 600 });
    await tell('stage', { version: 1 });
    await tell('promote');
    await tell('promote');
    expect(await boot(node)).toBe(2);
    expect(await bootAgain(node), 'in the same power cycle it has not left stage-0').toBe(2);
    expect(await boot(node)).toBe(2);
    expect(await boot(node)).toBe(1);
    expect((await report(node, 1)).status).toBe(200);
    expect(await boot(node)).toBe(1);
    expect(await eventKinds()).toEqual(
      expect.arrayContaining(['node-boot-failed', 'node-gave-up', 'node-healthy']),
    );
    const { json } = await world.operators(`/admin/v1/nodes/${node.id}/releases`);
    expect(json.releases).toContainEqual(
      expect.objectContaining({
        version: 2,
        experience: expect.stringMatching(/given up, 2 of 2 tries failed/),
      }),
    );
    expect(json.next).toMatchObject({ version: 1, reasons: [{ code: 'fell-back' }] });
    await world.operators(`/admin/v1/nodes/${node.id}/retry`, { method: 'POST', body: {} });
    expect(await boot(node)).toBe(2);
  });

  test('a pinned node gets its release whatever its channel does', async () => {
    const node = await world.enrolledNode();
    await publish(2);
    const pin = (verb: string, body: object) =>
      world.operators(`/admin/v1/nodes/${node.id}/${verb}`, { method: 'POST', body });
    expect((await pin('pin', { version: 9 })).json.code).toBe('release-not-listed');
    expect((await pin('pin', { version: 1 })).status).toBe(200);
    expect(await boot(node)).toBe(1);
    await pin('unpin', {});
    expect(await boot(node)).toBe(2);
  });
});

describe('a rollout', () => {
  beforeEach(async () => {
    await tell('health', { maxTries: 2, healthWindowSeconds: 600 });
    await publish(2);
  });

  test('completes when its nodes are healthy, and switches slots', async () => {
    const node = await world.enrolledNode();
    expect(await boot(node)).toBe(1);
    await report(node, 1);
    expect((await tell('rollout', { version: 2, plan: PLAN })).json.rollout).toMatchObject({
      state: 'running',
    });
    expect(await boot(node)).toBe(2);
    expect(await rollout()).toMatchObject({
      tally: { open: 1 },
      nodes: [{ id: node.id, experience: 'trying' }],
    });
    await report(node, 2);
    await vi.waitFor(async () => expect(await rollout()).toMatchObject({ state: 'completed' }), 5000);
    expect(await channel()).toMatchObject({ active: 'B', slots: { A: { version: 1, state: 'superseded' } } });
    expect(await boot(node)).toBe(2);
  });

  test('R10 of a release that panics: the node tries it, falls back by itself, and the rollout halts saying why', async () => {
    const node = await world.enrolledNode();
    await tell('rollout', { version: 2, plan: PLAN });
    expect(await boot(node)).toBe(2);
    expect(await boot(node)).toBe(2);
    expect(await boot(node)).toBe(1);
    await vi.waitFor(async () => expect(await rollout()).toMatchObject({ state: 'halted' }), 5000);
    expect((await rollout()).reason).toBe(
      'version 2: 1 node gave it up and fell back (0 healthy), and the failure budget is 1 node',
    );
    expect(await eventKinds()).toContain('rollout-halted');
    expect(await boot(node)).toBe(1);
  });

  test('lets in no more nodes than its budget, also when they come at the same moment', async () => {
    const nodes = await Promise.all([1, 2, 3, 4].map(() => world.enrolledNode()));
    await tell('rollout', { version: 2, plan: { ...PLAN, failureBudget: 2 } });
    const versions = await Promise.all(nodes.map(boot));
    expect(versions.toSorted()).toEqual([1, 1, 2, 2]);
  });

  test('of a group takes in that group', async () => {
    const [first, second] = [await world.enrolledNode(), await world.enrolledNode()];
    const body = { group: 'canary' };
    await world.operators(`/admin/v1/nodes/${second.id}/group`, { method: 'POST', body });
    await tell('rollout', {
      version: 2,
      plan: { ...PLAN, steps: ['canary', '100%'], soakSeconds: 3600, failureBudget: 5 },
    });
    expect([await boot(first), await boot(second)]).toEqual([1, 2]);
  });

  test('of a group that no node is in is refused: it would pass untried', async () => {
    await world.enrolledNode();
    const answer = await tell('rollout', { version: 2, plan: { ...PLAN, steps: ['canery', '100%'] } });
    expect(answer.json).toMatchObject({ code: 'plan-invalid', detail: expect.stringContaining('canery') });
  });

  test('of which a node is revoked has one that failed', async () => {
    const [first, second] = [await world.enrolledNode(), await world.enrolledNode()];
    await tell('rollout', { version: 2, plan: PLAN });
    expect(await boot(first)).toBe(2);
    await world.decide('revoke', first);
    expect(await boot(second)).toBe(1);
    await vi.waitFor(async () => expect(await rollout()).toMatchObject({ state: 'halted' }), 5000);
  });

  test('paused begins on nobody new; aborted sends everybody back', async () => {
    const [first, second] = [await world.enrolledNode(), await world.enrolledNode()];
    await tell('rollout', { version: 2, plan: { ...PLAN, failureBudget: 5 } });
    expect(await boot(first)).toBe(2);
    await tell('rollout/pause', { reason: 'lunch' });
    expect([await boot(first), await boot(second)]).toEqual([2, 1]);
    await tell('rollout/resume');
    expect(await boot(second)).toBe(2);
    expect((await tell('stage', { version: 2 })).json.code).toBe('rollout-open');
    expect((await tell('rollout/abort')).json.rollout).toMatchObject({ state: 'aborted' });
    expect([await boot(first), await boot(second)]).toEqual([1, 1]);
    expect((await tell('rollout/resume')).json.code).toBe('rollout-wrong-state');
  });

  test('books a boot as failed when nothing is heard in its window', async () => {
    const node = await world.enrolledNode();
    await tell('rollout', { version: 2, plan: PLAN });
    expect(await boot(node)).toBe(2);
    world.clock.advance(601);
    await vi.waitFor(
      async () =>
        expect((await rollout()).nodes).toMatchObject([{ failedTries: 1, lastFailure: { kind: 'silent' } }]),
      5000,
    );
    world.clock.advance(601);
    await vi.waitFor(async () => expect(await rollout()).toMatchObject({ state: 'halted' }), 5000);
    expect((await rollout()).reason).toMatch(/1 node failed and did not come back/);
  });

  test('outlives a restart of the server', async () => {
    const node = await world.enrolledNode();
    await tell('rollout', { version: 2, plan: PLAN });
    expect(await boot(node)).toBe(2);
    const before = await rollout();
    await world.stop();
    await world.open();
    expect(await rollout()).toEqual(before);
  });

  test('of a plan that cannot end is refused', async () => {
    for (const plan of [
      { steps: ['50%'] },
      { steps: ['60%', '50%', '100%'] },
      { steps: [] },
      { failureBudget: 0 },
    ])
      expect((await tell('rollout', { version: 2, plan })).json.code).toBe('plan-invalid');
    expect((await world.operators(`/admin/v1/channels/other/rollout`)).json.code).toBe('channel-unknown');
    expect((await world.operators(`/admin/v1/channels/${CHANNEL}/rollout`)).json.code).toBe(
      'rollout-missing',
    );
  });
});
