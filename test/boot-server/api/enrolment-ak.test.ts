import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../../src/core/bytes.ts';
import { createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

const stateOf = async (node: VirtualNode) => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;

/** A machine of ours that comes with another attestation key from now on. */
async function withNewAk(): Promise<{ node: VirtualNode; old: VirtualNode['ak'] }> {
  const node = await world.enrolledNode();
  const old = node.ak;
  node.ak = createSoftwareAk();
  return { node, old };
}

describe('a known TPM with another attestation key', () => {
  test('E21 E27 is held, recorded, and nothing else changes', async () => {
    const { node, old } = await withNewAk();
    const before = await stateOf(node);
    const answer = await node.enrol();
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-held']);
    expect(reasonsOf(answer)).toEqual(['ak-changed']);
    const { verdicts, ...after } = await stateOf(node);
    expect({ ...after, verdicts: before.verdicts }).toEqual(before);
    expect(verdicts[0]).toMatchObject({ purpose: 'enrol', verdict: 'hold', reasons: answer.json.reasons });
    expect((await node.askChallenge()).json.code).toBe('ak-unknown');
    node.ak = old;
    expect((await node.attest()).status, 'the old one is as good as before').toBe(200);
  });

  test('E27 comes in once when an operator allows it, and its old key never again', async () => {
    const { node, old } = await withNewAk();
    await world.decide('allow-new-ak', node);
    const former = await world.createNode({ ek: node.ek });
    former.ak = old;
    expect((await former.attest()).status, 'until then').toBe(200);
    expect((await node.enrol()).json).toMatchObject({ state: 'enrolled', nodeId: node.id });
    expect(await stateOf(node)).toMatchObject({ akName: node.akName, akMayChange: false });
    expect((await former.begin()).json.code).toBe('ak-rotated');
    expect((await former.askChallenge()).json.code).toBe('ak-rotated');
    const another = await world.createNode({ ek: (await world.createNode()).ek });
    another.ak = old;
    expect((await another.begin()).json.code, 'not with another chip either').toBe('ak-rotated');
    node.ak = createSoftwareAk();
    expect((await node.enrol()).json.code, 'it was allowed once').toBe('enrolment-held');
  });

  test('E23 of ten new keys at once that an operator allowed one, one wins', async () => {
    const node = await world.enrolledNode();
    await world.decide('allow-new-ak', node);
    const rivals = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const rival = await world.createNode({ ek: node.ek });
        const offer = (await rival.begin()).json;
        return { rival, id: offer.id, body: await rival.activationBody(offer) };
      }),
    );
    const answers = await Promise.all(rivals.map(({ rival, id, body }) => rival.activate(id, body)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.every(({ status }) => status < 500)).toBe(true);
    expect(
      world.database(
        (db) => db.prepare('select count(*) as n from retired_aks where node_id = ?').get(node.id)?.n,
      ),
    ).toBe(1);
  });

  test('E27 whose counters went back is held all the same: they are of the TPM, not of its key', async () => {
    const { node } = await withNewAk();
    await world.decide('allow-new-ak', node);
    node.clockInfo.resetCount -= 1;
    const held = await node.enrol();
    expect([held.json.code, reasonsOf(held)]).toEqual(['enrolment-held', ['counters-went-back']]);
    expect((await stateOf(node)).akMayChange).toBe(true);
    await world.decide('lift-hold', node);
    expect((await node.enrol()).json.state).toBe('enrolled');
  });

  test('E27 re-enrolment with the same keys after the TPM was cleared is held, on the node', async () => {
    const node = await world.enrolledNode();
    node.clockInfo.resetCount = 0;
    expect(reasonsOf(await node.enrol())).toEqual(['counters-went-back']);
    expect((await stateOf(node)).verdicts[0]).toMatchObject({ purpose: 'enrol', verdict: 'hold' });
  });

  test('E21 a certified node changes its key only with a certificate', async () => {
    const { node } = await withNewAk();
    await world.decide('allow-new-ak', node);
    const bare = await node.enrol({ eks: [{ public: toBase64(node.ek.public) }] });
    expect([bare.json.code, reasonsOf(bare)]).toEqual(['enrolment-held', ['ak-changed']]);
    expect((await node.enrol()).json.state, 'its twin').toBe('enrolled');
  });
});

describe('rotation', () => {
  test('the old key hears which generation to make, in whatever it asks; the new one enrols', async () => {
    const node = await world.enrolledNode();
    const grant = await node.grant();
    const challenge = await node.challenge();
    expect((await world.decide('rotate-ak', node)).json).toMatchObject({
      akGeneration: 2,
      akMayChange: true,
      akRotationDue: true,
    });
    expect((await node.fetch(world.release.listing.sha256, grant)).json.code).toBe('grant-closed');
    const evidence = await node.evidence(challenge, 'boot');
    for (const answer of [await node.askChallenge(), await node.begin(), await node.submit(evidence)])
      expect([answer.status, answer.json]).toEqual([
        409,
        expect.objectContaining({ code: 'ak-rotated', akGeneration: 2, nodeId: node.id }),
      ]);

    const old = node.ak;
    node.ak = createSoftwareAk();
    expect((await node.enrol()).json).toMatchObject({ state: 'enrolled', nodeId: node.id });
    expect((await node.attest()).status).toBe(200);
    expect(await stateOf(node)).toMatchObject({ akGeneration: 2, akMayChange: false, akRotationDue: false });
    node.ak = old;
    for (const answer of [await node.askChallenge(), await node.begin()])
      expect([answer.status, answer.json.code, answer.json.akGeneration]).toEqual([409, 'ak-rotated', 2]);
  });

  test('an enrolment with the old key that was under way is not taken', async () => {
    const node = await world.enrolledNode();
    const offer = (await node.begin()).json;
    const body = await node.activationBody(offer);
    await world.decide('rotate-ak', node);
    expect((await node.activate(offer.id, body)).json.code).toBe('ak-rotated');
    expect((await stateOf(node)).akRotationDue).toBe(true);
  });

  test('E29 a node that was revoked under its second key is revoked under its first', async () => {
    const node = await world.enrolledNode();
    const old = node.ak;
    await world.decide('rotate-ak', node);
    node.ak = createSoftwareAk();
    await node.enrol();
    await world.decide('revoke', node);
    const stranger = await world.createNode();
    stranger.ak = old;
    expect((await stranger.begin()).json.code).toBe('node-revoked');
    expect((await stranger.askChallenge()).json.code).toBe('node-revoked');
    const rotating = await world.decide('rotate-ak', node);
    expect([rotating.status, rotating.json.code]).toEqual([409, 'node-state-conflict']);
  });
});

test('an operator says and takes back that the ROM verifies stage-0', async () => {
  const node = await world.enrolledNode();
  expect((await world.decide('assert-rom', node)).json.romAsserted).toBe(true);
  const grant = await node.grant();
  expect((await world.decide('withdraw-rom', node)).json.romAsserted).toBe(false);
  expect((await node.fetch(world.release.listing.sha256, grant)).json.code).toBe('grant-closed');
});

test('operators see the fingerprint in groups, and the manufacturer', async () => {
  const node = await world.enrolledNode();
  const { ekGroups, manufacturer } = await stateOf(node);
  expect(ekGroups).toMatch(/^[0-9a-f]{4}(?: [0-9a-f]{4}){7}$/);
  expect(node.fingerprint.startsWith(ekGroups.replaceAll(' ', ''))).toBe(true);
  expect(manufacturer).toBe('id:00001014');
});
