import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { toBase64 } from '../../../src/core/bytes.ts';
import { createAuthority } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { AK_ATTRIBUTES, createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import { createSoftwareEk, type TemplateName } from '../../../src/fleet-sim/chip/software-ek.ts';
import { toPresented, type VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import { sized } from '../../../src/tpm/writer.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

const stateOf = async (node: VirtualNode) => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;

describe('endorsement keys', () => {
  test('E2 a certificate of a CA that we do not know is refused', async () => {
    const ek = await createSoftwareEk(await createAuthority('somebody'));
    const answer = await (await world.createNode({ ek })).begin();
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    expect(reasonsOf(answer)).toEqual(['ek-certificate-untrusted']);
  });

  test('E2 nor does a CA of the same name count', async () => {
    const ek = await createSoftwareEk(await createAuthority(world.manufacturer.name));
    const answer = await (await world.createNode({ ek })).begin();
    expect(answer.json.code).toBe('enrolment-refused');
  });

  test('E9 a certificate of another key than the one presented is refused', async () => {
    const [node, other] = [await world.createNode(), await world.createNode()];
    const eks = [{ public: toBase64(node.ek.public), certificate: toBase64(other.ek.certificate) }];
    expect(reasonsOf(await node.begin({ eks }))).toEqual(['ek-certificate-key-mismatch']);
    expect((await node.begin()).status, 'its twin').toBe(201);
  });

  test('E12 a certificate that is none is refused by name', async () => {
    const node = await world.createNode();
    const truncated = node.ek.certificate.subarray(0, -1);
    for (const certificate of [truncated, Buffer.from('not DER at all')]) {
      const eks = [{ public: toBase64(node.ek.public), certificate: toBase64(certificate) }];
      const answer = await node.begin({ eks });
      expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    }
  });

  test('E1 an uncertified key that is no endorsement key is refused, not a failure of ours', async () => {
    for (const attributes of [AK_ATTRIBUTES, attributesOf('restricted', 'decrypt'), 0]) {
      const ek = await createSoftwareEk(world.manufacturer, { attributes });
      const node = await world.createNode({ ek });
      const answer = await node.begin({ eks: [{ public: toBase64(ek.public) }] });
      expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
      expect(reasonsOf(answer)).toEqual(['ek-key-unsuitable']);
    }
  });

  test('one key twice is refused', async () => {
    const node = await world.createNode();
    const ek = { public: toBase64(node.ek.public), certificate: toBase64(node.ek.certificate) };
    expect((await node.begin({ eks: [ek, ek] })).json.code).toBe('enrolment-refused');
  });

  test('E22 an attestation key is not enrolled with a second endorsement key', async () => {
    const [node, other] = [await world.enrolledNode(), await world.createNode()];
    other.ak = node.ak;
    expect((await other.begin()).json.code).toBe('enrolment-refused');
  });

  test('E21 two enrolments under way with one chip and two keys: the second activation is held', async () => {
    const node = await world.createNode();
    await world.list(node);
    const rival = await world.createNode({ ek: node.ek });
    const [offer, rivalOffer] = [(await node.begin()).json, (await rival.begin()).json];
    expect((await node.activate(offer.id, await node.activationBody(offer))).status).toBe(200);
    const answer = await rival.activate(rivalOffer.id, await rival.activationBody(rivalOffer));
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-held']);
    expect((await stateOf(node)).akName).toBe(node.akName);
  });

  test('E23 fifty attestation keys for one chip, activated at once: exactly one wins', async () => {
    const node = await world.createNode();
    await world.list(node);
    const rivals = await Promise.all(
      Array.from({ length: 50 }, async () => {
        const rival = await world.createNode({ ek: node.ek });
        const offer = (await rival.begin()).json;
        return { rival, id: offer.id, body: await rival.activationBody(offer) };
      }),
    );
    const answers = await Promise.all(rivals.map(({ rival, id, body }) => rival.activate(id, body)));
    const winners = rivals.filter((_, index) => answers[index]?.status === 200);
    expect(winners).toHaveLength(1);
    expect((await stateOf(node)).akName).toBe(winners[0]?.rival.akName);
    const losers = answers.filter(({ status }) => status !== 200);
    for (const { json } of losers) expect(['enrolment-refused', 'enrolment-held']).toContain(json.code);
  });

  test('E29 a revoked machine does not come back with a new attestation key', async () => {
    const node = await world.enrolledNode();
    await world.decide('revoke', node);
    node.ak = createSoftwareAk();
    const answer = await node.begin();
    expect([answer.status, answer.json.code]).toEqual([403, 'node-revoked']);
  });

  test('E29 nor with an enrolment that it began before', async () => {
    const node = await world.enrolledNode();
    const offer = (await node.begin()).json;
    await world.decide('revoke', node);
    expect((await node.activate(offer.id, await node.activationBody(offer))).status).toBe(403);
    expect((await stateOf(node)).status).toBe('revoked');
  });
});

describe('attestation keys', () => {
  const without = (bit: number) => AK_ATTRIBUTES & ~(1 << bit);
  test.each([
    ['E13 not restricted', { attributes: without(16) }, 'ak-not-restricted'],
    ['E14 not fixedTPM', { attributes: without(1) }, 'ak-not-fixed-tpm'],
    ['E14 not fixedParent', { attributes: without(4) }, 'ak-not-fixed-parent'],
    ['E15 made outside of the TPM', { attributes: without(5) }, 'ak-imported'],
    ['E16 signing and decrypting', { attributes: AK_ATTRIBUTES | (1 << 17) }, 'ak-decrypts'],
    ['E16 not signing', { attributes: without(18) }, 'ak-not-signing'],
    ['without a scheme', { scheme: { id: ALG.NULL } }, 'ak-scheme-unset'],
  ] as const)('%s is refused', async (_name, options, reason) => {
    const node = await nodeWithAk(createSoftwareAk('p256', options));
    const answer = await node.begin();
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    expect(reasonsOf(answer)).toEqual([reason]);
  });

  test.each(['p384', 'rsassa'] as const)('a key of another template (%s) is refused', async (kind) => {
    const node = await nodeWithAk(createSoftwareAk(kind));
    expect(reasonsOf(await node.begin())).toEqual(['ak-not-template']);
  });

  test('E17 trailing or missing bytes in a public area are refused, not read past', async () => {
    const node = await nodeWithAk(createSoftwareAk());
    const { publicBytes } = node.ak;
    const longer = Buffer.concat([publicBytes, Buffer.from([0])]);
    const malformed = [sized(longer), Buffer.concat([sized(publicBytes), Buffer.from([0])]), publicBytes];
    for (const bytes of [...malformed, sized(publicBytes.subarray(0, -1)), Buffer.alloc(3)]) {
      const akPublic = toBase64(bytes);
      const answer = await node.begin({ akPublic });
      expect([answer.status, answer.json.code], akPublic).toEqual([400, 'request-invalid']);
      const eks = [{ public: toBase64(Buffer.concat([node.ek.public, Buffer.from([0])])) }];
      expect((await node.begin({ eks })).status).toBe(400);
    }
    expect((await node.begin()).status, 'its twin').toBe(201);
  });

  test('E17 a point that is not on the curve is refused', async () => {
    const node = await nodeWithAk(createSoftwareAk());
    const off = Buffer.from(sized(node.ak.publicBytes));
    off.writeUInt8(off.readUInt8(off.length - 1) ^ 1, off.length - 1);
    const answer = await node.begin({ akPublic: toBase64(off) });
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    expect(reasonsOf(answer)).toEqual(['ak-malformed']);
  });

  const spare = createSoftwareEkOnce();

  async function nodeWithAk(ak: VirtualNode['ak']): Promise<VirtualNode> {
    const node = await world.createNode({ ek: await spare() });
    node.ak = ak;
    return node;
  }
});

/** One chip for all tests that never get as far as enrolling it. */
function createSoftwareEkOnce() {
  let made: ReturnType<typeof createSoftwareEk> | undefined;
  return () => {
    made ??= createSoftwareEk(world.manufacturer);
    return made;
  };
}

describe('P9 a chip with two endorsement keys', () => {
  test('P9 is one node, and revoked under both of them', async () => {
    const { node, second } = await twoKeys();
    await world.list(node);
    expect((await node.enrol()).json).toMatchObject({ state: 'enrolled', nodeId: node.id });
    expect((await stateOf(node)).ekFingerprints).toHaveLength(2);
    const other = await world.createNode({ ek: second });
    expect((await other.enrol()).json.code, 'no second node for the second key').toBe('enrolment-held');
    await world.decide('revoke', node);
    for (const rival of [other, await world.createNode({ ek: node.ek })])
      expect((await rival.begin()).json.code).toBe('node-revoked');
  });

  test('P9 both must be opened by the chip: one answered and one guessed is refused', async () => {
    const { node } = await twoKeys();
    const offer = (await node.begin()).json;
    const { secrets, evidence } = await node.activationBody(offer);
    const guess = { ekFingerprint: offer.credentials[1].ekFingerprint, secret: toBase64(Buffer.alloc(32)) };
    const guessed = [(secrets as object[])[0], guess];
    const answer = await node.activate(offer.id, { secrets: guessed, evidence });
    expect(answer.json.code).toBe('activation-refused');
  });

  test('P9 one key without a certificate makes the node uncertified', async () => {
    const { node, second } = await twoKeys();
    const eks = [toPresented(node.ek), { public: toBase64(second.public) }];
    const { facts } = (await node.enrol({ eks })).json;
    expect(facts).toMatchObject({ identity: 'uncertified', admission: 'pending' });
  });

  async function twoKeys(template: TemplateName = 'H-3') {
    const node = await world.createNode();
    const second = await createSoftwareEk(world.manufacturer, { template });
    node.furtherEks = [second];
    return { node, second };
  }
});
