import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { beforeNextTransaction } from './before-transaction.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;
/** Of the release that the node runs. */
let digest: string;

beforeEach(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
  digest = (await node.attest()).json.release.digest;
});
afterEach(() => world.close());

const suspicion = async () => (await world.operators(`/admin/v1/nodes/${node.id}`)).json.suspect;
const fetchKernel = (grant: string) => node.fetch(toHex(sha256(world.release.kernel)), grant);

/** The running system is asked now; its answer comes after the node has booted once more. */
async function answerAfterBoot(secondsBetween: number) {
  const { json } = await node.askChallenge(node.akName, 'reattest');
  const evidence = await node.evidence(json.challenge, 'reattest');
  const { client } = node;
  world.clock.advance(secondsBetween);
  await node.powerCycle();
  const grant = await node.grant();
  return { grant, answer: await node.post('/v1/evidence', evidence, client) };
}

test('P2 of the power cycle before a boot is refused when it comes late, and harms nothing else', async () => {
  const { grant, answer } = await answerAfterBoot(1);
  expect(reasonsOf(answer)).toContain('session-mismatch');
  expect((await world.verdictsOf(node))[0]).toMatchObject({ purpose: 'reattest' });
  expect(await suspicion()).toBeNull();
  expect((await fetchKernel(grant)).status).toBe(200);
});

test('its twin: asked for since the boot, it makes the node suspect', async () => {
  const { grant, answer } = await answerAfterBoot(0);
  expect(reasonsOf(answer)).toContain('session-mismatch');
  expect(await suspicion()).not.toBeNull();
  expect((await fetchKernel(grant)).json.code).toBe('grant-closed');
});

test.each([
  ['has booted anew', 'session_reset_count = session_reset_count + 1'],
  ['has booted anew in the same power cycle', 'session_started_at = session_started_at + 1'],
  ['was granted another release', `session_release_digest = '${'cd'.repeat(32)}'`],
  ['has got another key', `ak_name = 'another'`],
])('a refusal is recorded and harms nothing of a node that %s while it was judged', async (_, change) => {
  const grant = await node.grant();
  const meanwhile = beforeNextTransaction(() =>
    world.database((database) => database.exec(`update nodes set ${change}`)),
  );
  expect(reasonsOf(await node.prove('health', 'ab'.repeat(32)))).toEqual(['pcr14-not-release']);
  expect(meanwhile.happened()).toBe(true);
  expect((await world.verdictsOf(node))[0]).toMatchObject({ purpose: 'health', verdict: 'refuse' });
  expect(await suspicion()).toBeNull();
  expect((await fetchKernel(grant)).status).toBe(200);
});

test('a node that is suspect already keeps the first reason', async () => {
  await node.prove('health', 'ab'.repeat(32));
  const before = await suspicion();
  const refused = await node.prove('health', digest, { pcrs: (pcrs) => pcrs.set(12, Buffer.alloc(32, 1)) });
  expect(reasonsOf(refused)).toEqual(['pcr-mismatch']);
  expect(await suspicion()).toEqual(before);
});
