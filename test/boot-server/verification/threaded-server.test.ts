import { afterAll, beforeAll, expect, test } from 'vitest';
import { PublishedServer, reasonsOf } from '../api/published-server.ts';

let world: PublishedServer;
beforeAll(async () => {
  world = await PublishedServer.publish(['limits: { verificationThreads: 1 }']);
});
afterAll(() => world.close());

test('a machine enrols and boots on a server that decides in a thread', async () => {
  const node = await world.enrolledNode();
  const accepted = await node.attest();
  expect(accepted.status).toBe(200);
  expect(accepted.json).toMatchObject({ verdict: 'accept', facts: { state: 'measured' } });
});

test('what was changed on the way is refused for the same reason as on the event loop', async () => {
  const node = await world.enrolledNode();
  const answer = await node.attest({ pcrs: (pcrs) => pcrs.set(14, new Uint8Array(32).fill(1)) });
  expect(answer.status).toBe(403);
  expect(reasonsOf(answer)).toEqual(['pcr14-not-zero']);
});

test.each([0, 512 * 1024 + 3])('an event log of %i bytes is turned away undecided', async (byteLength) => {
  const node = await world.enrolledNode();
  const evidence = await node.evidence(await node.challenge(), 'boot');
  const answer = await node.submit({ ...evidence, eventLog: Buffer.alloc(byteLength).toString('base64') });
  expect([answer.status, answer.json.code, answer.json.field]).toEqual([400, 'request-invalid', 'eventLog']);
  expect((await node.submit(evidence)).status, 'its challenge is still good').toBe(200);
});
