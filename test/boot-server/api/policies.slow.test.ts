import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { policyDocument, RULES } from './policy-documents.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

beforeEach(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
});
afterEach(() => world.close());

const apply = (document: string) =>
  world.operators('/admin/v1/policies', { method: 'POST', body: { document } });

describe('a policy', () => {
  test('decides on the next request of the nodes of its channels', async () => {
    expect((await node.attest()).status).toBe(200);
    expect((await apply(policyDocument({ admission: '[approved]' }))).json).toEqual({
      name: 'edge',
      version: 1,
      outcome: 'applied',
    });
    const refused = await node.attest();
    expect(reasonsOf(refused)).toEqual(['admission-not-accepted']);
    expect(refused.json.detail).toContain('policy edge, version 1');
    await world.operators('/admin/v1/policies/edge/withdraw', { method: 'POST', body: {} });
    expect((await node.attest()).status, 'the built-in one again').toBe(200);
  });

  test('is kept with all its versions, which only rise', async () => {
    const first = policyDocument();
    await apply(first);
    expect((await apply(first)).json.outcome).toBe('unchanged');
    expect((await apply(policyDocument({ identity: 'uncertified' }))).json.code).toBe('policy-conflict');
    expect((await apply(policyDocument({ version: '3' }))).json.version).toBe(3);
    expect((await apply(policyDocument({ version: '2' }))).json.code).toBe('policy-conflict');
    const { json } = await world.operators('/admin/v1/policies/edge');
    expect(
      json.versions.map((kept: { version: number; inForce: boolean }) => [kept.version, kept.inForce]),
    ).toEqual([
      [3, true],
      [1, false],
    ]);
    expect(json.versions[1].document).toBe(first);
  });

  test('shares no channel with another', async () => {
    await apply(policyDocument());
    const answer = await apply(policyDocument({ name: 'other' }));
    expect([answer.status, answer.json.code]).toEqual([409, 'policy-conflict']);
  });

  test('Q58 that names fewer PCRs than are quoted is refused, and the path says where', async () => {
    const answer = await apply(policyDocument({ pcrs: RULES.replace('11: stage0, ', '') }));
    expect([answer.status, answer.json.code]).toEqual([422, 'policy-refused']);
    expect(answer.json.detail).toMatch(/^pcrs\.11: expected a rule/);
    expect((await apply('{}')).json.code).toBe('policy-refused');
  });

  test('opens a channel to certified chips only when it says so', async () => {
    const stranger = await world.createNode();
    expect((await stranger.enrol()).json.state).toBe('pending');
    await apply(policyDocument({ admission: '[listed, open]' }));
    const other = await world.createNode();
    expect((await other.enrol()).json).toMatchObject({ state: 'enrolled', facts: { admission: 'open' } });
    expect((await other.attest()).status).toBe(200);
  });

  test('is tried on the last evidence of each node before it is applied', async () => {
    await node.attest();
    const document = policyDocument({ admission: '[approved]' });
    const silent = await world.enrolledNode();
    const { json } = await world.operators('/admin/v1/policies/test', { method: 'POST', body: { document } });
    const resultOf = (id: string) => json.results.find((result: { nodeId: string }) => result.nodeId === id);
    expect(resultOf(node.id).inForce.verdict).toBe('accept');
    expect(resultOf(node.id).candidate).toMatchObject({
      verdict: 'refuse',
      reasons: [{ code: 'admission-not-accepted' }],
    });
    expect(resultOf(silent.id).candidate.verdict, 'its enrolment is evidence too').toBe('accept');
    expect((await node.attest()).status, 'nothing has changed').toBe(200);
  });
});

describe('firmware', () => {
  /** The same machine after somebody flashed it: PCR 0 differs, in its log too. */
  const update = (machine: VirtualNode, firmware = '2.0') => {
    machine.eventLog = logOfStage0(world.stage0.image, { firmware });
  };
  const approve = (verdictId: number, scope: unknown = 'node') =>
    world.operators('/admin/v1/firmware/approvals', { method: 'POST', body: { verdictId, scope } });
  const lastVerdict = async (machine: VirtualNode) =>
    (await world.operators(`/admin/v1/nodes/${machine.id}`)).json.verdicts[0];

  test('that changed holds the node, says what, and passes once it is approved', async () => {
    expect((await node.attest()).status).toBe(200);
    update(node);
    const held = await node.attest();
    expect([held.json.code, reasonsOf(held)]).toEqual(['evidence-held', ['firmware-changed']]);
    expect(held.json.reasons[0].message).toMatch(/^PCR 0 is [0-9a-f]{12}\.\.\., approved was/);
    expect(JSON.stringify(held.json.notes)).toContain('EV_S_CRTM_VERSION');
    const { id } = await lastVerdict(node);
    expect((await approve(id)).json).toMatchObject({ scope: { kind: 'node', nodeId: node.id } });
    expect((await node.attest()).status).toBe(200);
    node.eventLog = logOfStage0(world.stage0.image);
    expect(reasonsOf(await node.attest()), 'the old one is not the baseline any more').toEqual([
      'firmware-changed',
    ]);
  });

  test('approved for one node holds the next; for the channel or for all it does not', async () => {
    const others = [await world.enrolledNode(), await world.enrolledNode()];
    for (const machine of [node, ...others]) {
      await machine.attest();
      update(machine);
      await machine.attest();
    }
    await approve((await lastVerdict(node)).id);
    const [second] = others as [VirtualNode, VirtualNode];
    expect(reasonsOf(await second.attest())).toEqual(['firmware-changed']);
    const approval = await approve((await lastVerdict(second)).id, { channel: 'demo' });
    for (const machine of others) expect((await machine.attest()).status).toBe(200);

    const path = `/admin/v1/firmware/approvals/${approval.json.id}/withdraw`;
    expect((await world.operators(path, { method: 'POST', body: {} })).status).toBe(200);
    const fourth = await world.enrolledNode();
    await fourth.attest();
    update(fourth);
    expect(reasonsOf(await fourth.attest())).toEqual(['firmware-changed']);
    await approve((await lastVerdict(fourth)).id, 'all');
    expect((await fourth.attest()).status).toBe(200);
  });

  test('values of a boot that was accepted, refused or never kept cannot be approved', async () => {
    await node.attest();
    expect((await approve((await lastVerdict(node)).id)).json.code).toBe('approval-refused');
    expect((await approve(999)).json.code).toBe('not-found');
  });

  test('is never approved by itself where the policy wants an operator', async () => {
    await apply(policyDocument({ baseline: 'approved' }));
    const held = await node.attest();
    expect(reasonsOf(held)).toEqual(['baseline-missing']);
    await approve((await lastVerdict(node)).id);
    expect((await node.attest()).status).toBe(200);
    update(node);
    expect(reasonsOf(await node.attest())).toEqual(['firmware-changed']);
  });

  test('that is refused for another reason leaves no baseline', async () => {
    const other = await world.enrolledNode();
    update(other, '3.0');
    await other.attest({ pcrs: (pcrs) => pcrs.set(14, Buffer.alloc(32, 1)) });
    other.eventLog = logOfStage0(world.stage0.image);
    expect((await other.attest()).status, 'its first accepted boot is the baseline').toBe(200);
  });

  test('of a running system is compared as well', async () => {
    const { digest } = (await node.attest()).json.release;
    update(node);
    expect(reasonsOf(await node.prove('reattest', digest))).toEqual(['firmware-changed']);
  });
});

test('what operators decided stands in the list of events, after the number they have seen', async () => {
  await apply(policyDocument());
  const { json } = await world.operators('/admin/v1/events?limit=1000');
  const applied = json.events.find((event: { kind: string }) => event.kind === 'policy-applied');
  expect(applied).toMatchObject({ subject: 'edge', detail: { version: '1', channels: 'demo' } });
  const later = await world.operators(`/admin/v1/events?after=${applied.id}`);
  expect(later.json.events).toEqual([]);
});

describe('a trial of a policy', () => {
  const trial = async (body: object) =>
    (await world.operators('/admin/v1/policies/test', { method: 'POST', body })).json;

  test('looks at what the node itself said last, not at what a stranger sent in its name', async () => {
    await node.attest();
    const stranger = await world.createNode();
    for (let sent = 0; sent < 25; sent += 1) await node.attest({ ak: stranger.ak });
    const { results } = await trial({ document: policyDocument(), nodeIds: [node.id] });
    expect(results).toMatchObject([{ inForce: { verdict: 'accept' }, candidate: { verdict: 'accept' } }]);
  });

  test('of a node that is not there says so', async () => {
    const answer = await trial({ document: policyDocument(), nodeIds: [`n-${'0'.repeat(20)}`] });
    expect(answer.code).toBe('node-unknown');
  });

  test('works while the policy in force cannot be read, and until then nothing is decided', async () => {
    await node.attest();
    await apply(policyDocument());
    world.database((database) => database.exec(`update policies set document = 'format: v9'`));
    expect((await node.attest()).json.code).toBe('not-ready');
    const { results } = await trial({ document: policyDocument({ version: '2' }) });
    expect(results).toMatchObject([{ nodeId: node.id, candidate: { verdict: 'accept' } }]);
    await apply(policyDocument({ version: '2' }));
    expect((await node.attest()).status).toBe(200);
  });
});

test('a key that is rotated while its evidence is judged gets no grant', async () => {
  const evidence = await node.evidence(await node.challenge(), 'boot');
  await world.operators(`/admin/v1/nodes/${node.id}/rotate-ak`, { method: 'POST', body: {} });
  expect((await node.submit(evidence)).json.code).toBe('ak-rotated');
});
