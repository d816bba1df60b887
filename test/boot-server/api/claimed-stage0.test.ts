import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { stage0Target } from '../../../src/signing/names.ts';
import { policyDocument, WITHOUT_STAGE0 } from './policy-documents.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

/** No PCR tells which stage-0 these nodes run: they say so themselves. */
beforeEach(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
  const document = policyDocument(WITHOUT_STAGE0);
  await world.operators('/admin/v1/policies', { method: 'POST', body: { document } });
});
afterEach(() => world.close());

const fetchKernel = (grant: string) => node.fetch(toHex(sha256(world.release.kernel)), grant);

async function withdrawFirstBuild(): Promise<void> {
  await world.desk.addStage0(2);
  await world.desk.withdraw('stage0', world.stage0.listing.target);
  expect((await world.publishDesk()).status).toBe(200);
}

test('P11 a claimed stage-0 that is withdrawn ends the grant, and is granted nothing again', async () => {
  const answer = await node.attest();
  const { digest } = answer.json.release;
  expect((await fetchKernel(answer.json.grant)).status).toBe(200);
  await withdrawFirstBuild();
  const refused = await fetchKernel(answer.json.grant);
  expect([refused.status, refused.json.code]).toEqual([403, 'grant-closed']);
  expect(refused.json.detail).toContain('x86-64 build 1');
  expect(reasonsOf(await node.prove('reattest', digest))).toEqual(['stage0-not-listed']);
  expect(reasonsOf(await node.attest())).toEqual(['stage0-not-listed']);
});

test('its twin: a node that claims the other build keeps its grant', async () => {
  await world.desk.addStage0(2);
  await world.publishDesk();
  node.stage0Build = 2;
  const grant = await node.grant();
  await world.desk.withdraw('stage0', world.stage0.listing.target);
  await world.publishDesk();
  expect((await fetchKernel(grant)).status).toBe(200);
});

test('what a node claims is in its grant, and never among the facts of its session', async () => {
  const grant = await node.grant();
  const payload = JSON.parse(Buffer.from(grant.split('.')[1] ?? '', 'base64url').toString());
  expect(payload.claimedStage0).toEqual({ architecture: 'x86-64', build: 1 });
  const { session } = (await world.operators(`/admin/v1/nodes/${node.id}`)).json;
  expect(session.stage0Sha256).toBeNull();
});

test('a build that is listed for another architecture is not one of this channel', async () => {
  const other = { architecture: 'arm64', target: stage0Target('arm64', 2) } as const;
  await world.desk.addStage0(2, other);
  expect((await world.publishDesk()).status).toBe(200);
  node.stage0Build = 2;
  expect(reasonsOf(await node.attest())).toEqual(['stage0-not-listed']);
  node.stage0Build = 1;
  expect((await node.attest()).status, 'its twin').toBe(200);
});
