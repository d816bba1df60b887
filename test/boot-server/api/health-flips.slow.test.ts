import { afterAll, beforeAll, expect, test } from 'vitest';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});
afterAll(() => world.close());

async function eventKinds(): Promise<string[]> {
  const { json } = await world.operators('/admin/v1/events?limit=1000');
  return json.events.map(({ kind }: { kind: string }) => kind);
}

test('a system that says in turn that it is well and unwell fills no events, and its last word counts', async () => {
  const node = await world.enrolledNode();
  await node.powerCycle();
  expect((await node.attest()).status).toBe(200);
  const before = (await eventKinds()).length;
  const say = async (health: string): Promise<void> => {
    world.clock.advance(10);
    const answer = await node.prove('health', world.release.listing.sha256, { claims: { health } });
    expect(answer.status, String(answer.bytes)).toBe(200);
  };
  for (let round = 0; round < 10; round += 1) {
    await say('healthy');
    await say('unhealthy');
  }
  expect((await eventKinds()).slice(before)).toEqual(['node-healthy', 'node-boot-failed']);
  const outcome = () =>
    world.database((database) => database.prepare('select outcome from node_releases').get()?.outcome);
  expect(outcome()).toBe('failed');
  await say('healthy');
  expect(outcome()).toBe('healthy');
  world.clock.advance(600);
  await say('unhealthy');
  expect((await eventKinds()).slice(before)).toEqual([
    'node-healthy',
    'node-boot-failed',
    'node-boot-failed',
  ]);
});
