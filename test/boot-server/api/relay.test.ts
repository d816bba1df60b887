import { afterAll, beforeAll, expect, test } from 'vitest';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

// A machine may forward everything to the TPM of another one (Parno 2008), and no protocol sees it. What
// answers is then that TPM, and the list of endorsement keys says which TPMs there are.
test('E25 who relays to a chip of his own is that chip, and not the machine that was listed', async () => {
  const [expected, relayedTo] = [await world.createNode(), await world.createNode()];
  await world.list(expected);
  const answer = await relayedTo.enrol();
  expect(answer.json).toMatchObject({ state: 'pending', nodeId: relayedTo.id });
  expect((await relayedTo.askChallenge()).json.code).toBe('node-pending');
  expect((await world.operators(`/admin/v1/nodes/${expected.id}`)).status).toBe(404);
  expect((await expected.enrol()).json).toMatchObject({ state: 'enrolled', nodeId: expected.id });
});
