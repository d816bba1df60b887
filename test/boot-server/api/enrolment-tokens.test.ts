import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

const stateOf = async (node: VirtualNode) => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;

async function createToken(over: object = {}): Promise<{ id: string; token: string }> {
  const body = { channel: 'edge', validSeconds: 3600, comment: 'rack 7', ...over };
  const answer = await world.operators('/admin/v1/tokens', { method: 'POST', body });
  expect(answer.status).toBe(201);
  return answer.json;
}

const listed = async (id: string) => {
  const { tokens } = (await world.operators('/admin/v1/tokens')).json;
  return (tokens as { id: string }[]).find((token) => token.id === id);
};

describe('enrolment tokens', () => {
  test('one admits one machine, for its channel', async () => {
    const { id, token } = await createToken();
    const node = await world.createNode();
    expect((await node.enrol({ token })).json).toMatchObject({
      state: 'enrolled',
      facts: { identity: 'certified', admission: 'token' },
    });
    expect(await stateOf(node)).toMatchObject({ status: 'enrolled', admission: 'token', channel: 'edge' });
    expect(await listed(id)).toMatchObject({ state: 'used', usedBy: node.id, comment: 'rack 7' });
  });

  test('has 140 bits in characters that people can tell apart, and is kept as a hash only', async () => {
    const { id, token } = await createToken();
    expect(token).toMatch(/^[2-9a-km-np-z]{4}(?:-[2-9a-km-np-z]{4}){6}$/);
    const kept = JSON.stringify([
      await listed(id),
      world.database((db) => db.prepare('select * from enrolment_tokens').all()),
    ]);
    expect(kept).not.toContain(token);
    expect(world.logLines.join('\n')).not.toContain(token);
  });

  test('is taken in capitals, with spaces, and without its hyphens', async () => {
    const spellings = [
      (token: string) => token.toUpperCase(),
      (token: string) => token.replaceAll('-', ''),
      (token: string) => token.replaceAll('-', ' '),
    ];
    for (const spell of spellings) {
      const { token } = await createToken();
      const node = await world.createNode();
      expect((await node.enrol({ token: spell(token) })).json.facts.admission, spell(token)).toBe('token');
    }
  });

  test('used, expired, withdrawn or never made, it is refused by name; the machine does not wait', async () => {
    const used = (await createToken()).token;
    await (await world.createNode()).enrol({ token: used });
    const withdrawn = await createToken();
    const withdrawing = await world.operators(`/admin/v1/tokens/${withdrawn.id}`, { method: 'DELETE' });
    expect(withdrawing.status).toBe(200);
    const expired = (await createToken({ validSeconds: 60 })).token;
    world.clock.advance(60);
    const node = await world.createNode();
    const before = world.rowCounts();
    for (const token of [used, withdrawn.token, expired, 'aaaa-bbbb', `${used}2`]) {
      const answer = await node.begin({ token });
      expect([answer.status, answer.json.code], token).toEqual([403, 'token-refused']);
    }
    expect(world.rowCounts()).toEqual(before);
    const again = await world.operators(`/admin/v1/tokens/${withdrawn.id}`, { method: 'DELETE' });
    expect([again.status, again.json.code]).toEqual([404, 'token-unknown']);
  });

  test('of ten machines that come with one at once, one wins and the others leave nothing', async () => {
    const { token } = await createToken();
    const rivals = await Promise.all(
      Array.from({ length: 10 }, async () => {
        const node = await world.createNode();
        const offer = (await node.begin({ token })).json;
        return { node, id: offer.id, body: await node.activationBody(offer) };
      }),
    );
    const answers = await Promise.all(rivals.map(({ node, id, body }) => node.activate(id, body)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    for (const [index, { node }] of rivals.entries()) {
      if (answers[index]?.status === 200) continue;
      expect(answers[index]?.json.code).toBe('token-refused');
      expect((await world.operators(`/admin/v1/nodes/${node.id}`)).status).toBe(404);
    }
  });

  test('withdrawn or expired between the two calls, it admits nobody', async () => {
    const [first, second] = [await createToken(), await createToken({ validSeconds: 60 })];
    const [node, late] = [await world.createNode(), await world.createNode()];
    const offer = (await node.begin({ token: first.token })).json;
    const lateOffer = (await late.begin({ token: second.token })).json;
    await world.operators(`/admin/v1/tokens/${first.id}`, { method: 'DELETE' });
    world.clock.advance(61);
    for (const [who, { id }, body] of [
      [node, offer, await node.activationBody(offer)],
      [late, lateOffer, await late.activationBody(lateOffer)],
    ] as const) {
      const answer = await who.activate(id, body);
      expect([answer.status, answer.json.code]).toEqual([403, 'token-refused']);
      expect((await world.operators(`/admin/v1/nodes/${who.id}`)).status).toBe(404);
    }
  });

  test('the list goes first: a listed machine spends none, and one that is enrolled needs none', async () => {
    const { id, token } = await createToken();
    const node = await world.createNode();
    await world.list(node);
    expect((await node.enrol({ token })).json.facts.admission).toBe('listed');
    expect((await node.enrol({ token: 'whatever' })).json.facts.admission).toBe('listed');
    expect(await listed(id)).toMatchObject({ state: 'unused', usedBy: null });
  });

  test('a machine that waits comes in with a token', async () => {
    const node = await world.createNode();
    expect((await node.enrol()).json.state).toBe('pending');
    const { token } = await createToken();
    expect((await node.enrol({ token })).json).toMatchObject({ state: 'enrolled', nodeId: node.id });
  });

  test('E1 admits a chip without a certificate, and makes it no more certified', async () => {
    const node = await world.createNode();
    const { token } = await createToken();
    const eks = [{ public: Buffer.from(node.ek.public).toString('base64') }];
    expect((await node.enrol({ eks, token })).json.facts).toMatchObject({
      identity: 'uncertified',
      admission: 'token',
    });
  });
});

describe('the admission list', () => {
  const importEk = async (node: VirtualNode, over: object) => {
    const body = { entries: [{ fingerprint: node.fingerprint, comment: 'test' }], ...over };
    return (await world.operators('/admin/v1/eks', { method: 'POST', body })).json;
  };

  test('a key that is listed for another channel is moved only when the operator says so', async () => {
    const node = await world.createNode();
    expect(await importEk(node, { channel: 'demo' })).toMatchObject({ added: 1 });
    expect(await importEk(node, { channel: 'demo' })).toMatchObject({ known: 1, elsewhere: 0 });
    expect(await importEk(node, { channel: 'edge' })).toMatchObject({ moved: 0, elsewhere: 1 });
    expect(await importEk(node, { channel: 'edge', replace: true })).toMatchObject({
      moved: 1,
      elsewhere: 0,
    });
    await node.enrol();
    expect((await stateOf(node)).channel).toBe('edge');
  });
});
