import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../../src/core/bytes.ts';
import { createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  createSoftwareEk,
  type SoftwareEk,
  type TemplateName,
} from '../../../src/fleet-sim/chip/software-ek.ts';
import { toPresented, type VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

const stateOf = async (node: VirtualNode) => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;
const createEk = (template: TemplateName): Promise<SoftwareEk> =>
  createSoftwareEk(world.manufacturer, { template });
const eventsOf = (node: VirtualNode): string[] =>
  world.database((database) =>
    database
      .prepare('select kind from audit_events where subject = ? order by id')
      .all(node.id)
      .map(({ kind }) => String(kind)),
  );

describe('several endorsement keys of one TPM', () => {
  test('P9 all five of the profile are activated for one attestation key and are one node', async () => {
    const node = await world.createNode();
    await world.list(node);
    node.furtherEks = await Promise.all((['L-2', 'H-1', 'H-2', 'H-3'] as const).map(createEk));
    const answer = await node.enrol();
    expect(answer.json).toMatchObject({
      state: 'enrolled',
      nodeId: node.id,
      ekFingerprint: node.fingerprint,
    });
    const { ekFingerprints } = await stateOf(node);
    expect(ekFingerprints).toHaveLength(5);
    expect(ekFingerprints[0]).toBe(node.fingerprint);
  });

  test.each(['L-2', 'H-1', 'H-2', 'H-3'] as const)('a TPM with %s alone enrols', async (template) => {
    const node = await world.createNode({ ek: await createEk(template) });
    await world.list(node);
    expect((await node.enrol()).json).toMatchObject({
      state: 'enrolled',
      facts: { identity: 'certified', admission: 'listed' },
    });
    expect((await node.attest()).status).toBe(200);
  });

  test('a node that is known shows a further key: it is added, and an event says so', async () => {
    const node = await world.enrolledNode();
    node.furtherEks = [await createEk('H-3')];
    expect((await node.enrol()).json).toMatchObject({ state: 'enrolled', nodeId: node.id });
    expect((await stateOf(node)).ekFingerprints).toHaveLength(2);
    expect(eventsOf(node)).toEqual(['node-ek-added']);
    expect((await node.enrol()).status).toBe(200);
    expect(eventsOf(node), 'once').toEqual(['node-ek-added']);
  });

  test('E22 keys of two nodes in one enrolment are refused, and nothing changes', async () => {
    const [node, other] = [await world.enrolledNode(), await world.enrolledNode()];
    const before = world.rowCounts();
    node.furtherEks = [other.ek];
    const answer = await node.begin();
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    other.ak = node.ak;
    other.furtherEks = [];
    expect((await other.begin()).json.code, "another node's attestation key").toBe('enrolment-refused');
    expect(world.rowCounts()).toEqual(before);
  });

  test('E22 two enrolments under way that claim one further key: the second is refused', async () => {
    const [node, other] = [await world.enrolledNode(), await world.enrolledNode()];
    const shared = await createEk('H-3');
    node.furtherEks = [shared];
    other.furtherEks = [shared];
    const [offer, otherOffer] = [(await node.begin()).json, (await other.begin()).json];
    const bodies = [await node.activationBody(offer), await other.activationBody(otherOffer)];
    expect((await node.activate(offer.id, bodies[0])).status).toBe(200);
    const answer = await other.activate(otherOffer.id, bodies[1]);
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    expect((await stateOf(other)).ekFingerprints).toHaveLength(1);
  });

  test('P9 a certified node gets no name that anybody could have made', async () => {
    const node = await world.enrolledNode();
    const made = await createEk('H-3');
    const eks = [toPresented(node.ek), { public: toBase64(made.public) }];
    const answer = await node.begin({ eks });
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    expect(answer.json.detail).toContain('not certified');
  });

  test.each(['revoke', 'reject'] as const)('E29 P9 after %s no key of the chip comes back', async (verb) => {
    const node = await world.createNode();
    const second = await createEk('H-3');
    node.furtherEks = [second];
    expect((await node.enrol()).json.state).toBe('pending');
    await world.decide(verb, node);
    const code = verb === 'revoke' ? 'node-revoked' : 'node-rejected';
    const comebacks: [VirtualNode, string][] = [
      [await world.createNode({ ek: node.ek }), 'its first key'],
      [await world.createNode({ ek: second }), 'its other key'],
      [await world.createNode(), 'its attestation key with a new endorsement key'],
    ];
    for (const [rival, name] of comebacks) {
      if (name.startsWith('its attestation')) rival.ak = node.ak;
      else rival.ak = createSoftwareAk();
      expect((await rival.begin()).json.code, name).toBe(code);
    }
  });
});

test('a rejected node is readmitted: it waits again, and can be approved', async () => {
  const node = await world.createNode();
  await node.enrol();
  await world.decide('reject', node);
  expect((await world.decide('readmit', node)).json).toMatchObject({
    status: 'pending',
    admission: 'pending',
  });
  expect((await world.decide('readmit', node)).json.code).toBe('node-state-conflict');
  expect((await node.enrol()).json.state).toBe('pending');
  expect((await world.decide('approve', node)).json.status).toBe('enrolled');
  expect(eventsOf(node)).toEqual(['node-rejected', 'node-pending', 'node-enrolled']);
});

test('E25 of two machines that relay alike, only the one whose chip is listed comes in by itself', async () => {
  const [listed, stranger] = [await world.createNode(), await world.createNode()];
  await world.list(listed);
  expect((await listed.enrol()).json.state).toBe('enrolled');
  expect((await stranger.enrol()).json).toMatchObject({
    state: 'pending',
    facts: { identity: 'certified', admission: 'pending' },
  });
  expect((await stranger.askChallenge()).json.code).toBe('node-pending');
});
