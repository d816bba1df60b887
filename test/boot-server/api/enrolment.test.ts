import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fromBase64, toBase64 } from '../../../src/core/bytes.ts';
import { openDatabase } from '../../../src/storage/database.ts';
import { createSqlAttestationStore } from '../../../src/storage/sql-attestation-store.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { makeCredential } from '../../../src/tpm/credential.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import { sized } from '../../../src/tpm/writer.ts';
import { createAuthority } from '../../attestation/certificate-maker.ts';
import { AK_ATTRIBUTES, createSoftwareAk } from '../../attestation/software-ak.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';
import { createSoftwareEk, type SoftwareEk } from './software-ek.ts';
import { createIdentity, type Offer, type VirtualNode } from './virtual-node.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

const stateOf = async (node: VirtualNode) => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;
const certificateOf = (bytes: Uint8Array) => toBase64(bytes);

describe('admission', () => {
  test('a listed machine is enrolled at once, for the channel that it is listed for', async () => {
    const node = await world.createNode();
    await world.list(node, 'pi-stable');
    const { status, json } = await node.enrol();
    expect(status).toBe(200);
    expect(json).toMatchObject({
      state: 'enrolled',
      nodeId: node.id,
      ekFingerprint: node.fingerprint,
      facts: { identity: 'certified', admission: 'listed', state: 'measured' },
    });
    expect(await stateOf(node)).toMatchObject({ status: 'enrolled', channel: 'pi-stable' });
  });

  test('P14 a certified machine that nobody listed waits and receives nothing, until it is approved', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    const activated = await node.activate(offer.id, await node.activationBody(offer));
    expect(activated.json).toMatchObject({
      state: 'pending',
      facts: { identity: 'certified', admission: 'pending' },
    });
    expect((await node.poll(offer.id)).json).toEqual({ state: 'pending', retryAfterSeconds: 15 });
    const refused = await node.askChallenge();
    expect([refused.status, refused.json.code]).toEqual([403, 'node-pending']);
    expect(refused.json.challenge).toBeUndefined();
    const artifact = await node.fetch(world.release.listing.sha256);
    expect([artifact.status, artifact.json.code]).toEqual([401, 'grant-missing']);

    expect((await world.decide('approve', node)).json).toMatchObject({
      status: 'enrolled',
      admission: 'approved',
    });
    expect((await node.poll(offer.id)).json.state).toBe('enrolled');
    const boot = await node.attest();
    expect(boot.json.facts).toEqual({ identity: 'certified', admission: 'approved', state: 'measured' });
  });

  test('P14 a machine that waits stays waiting however often it enrols', async () => {
    const node = await world.createNode();
    for (const _ of [1, 2]) expect((await node.enrol()).json.state).toBe('pending');
    expect((await node.askChallenge()).json.code).toBe('node-pending');
  });

  test('a machine that waits and is listed meanwhile enrols for that channel', async () => {
    const node = await world.createNode();
    expect((await node.enrol()).json.state).toBe('pending');
    await world.list(node, 'pi-stable');
    expect((await node.enrol()).json.state).toBe('enrolled');
    expect(await stateOf(node)).toMatchObject({
      status: 'enrolled',
      admission: 'listed',
      channel: 'pi-stable',
    });
  });

  test('a rejected machine hears it when it polls, and cannot begin again', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    await node.activate(offer.id, await node.activationBody(offer));
    await world.decide('reject', node);
    expect((await node.poll(offer.id)).json.state).toBe('rejected');
    const again = await node.begin();
    expect([again.status, again.json.code]).toEqual([403, 'node-rejected']);
    const approving = await world.decide('approve', node);
    expect([approving.status, approving.json.code]).toEqual([409, 'node-state-conflict']);
  });

  test('an enrolled machine may enrol again and keeps its admission', async () => {
    const node = await world.createNode();
    await node.enrol();
    await world.decide('approve', node);
    await node.powerCycle();
    expect((await node.enrol()).json).toMatchObject({
      state: 'enrolled',
      facts: { admission: 'approved' },
    });
    expect((await node.attest()).status).toBe(200);
  });

  test('E1 a chip without a certificate is uncertified and waits', async () => {
    const node = await world.createNode();
    const answer = await node.enrol({ eks: [{ public: toBase64(node.ek.public) }] });
    expect(answer.json).toMatchObject({ state: 'pending', facts: { identity: 'uncertified' } });
    await world.decide('approve', node);
    expect((await node.attest()).json.facts).toMatchObject({
      identity: 'uncertified',
      admission: 'approved',
    });
  });

  test('E1 listing it admits it, and makes it no more certified', async () => {
    const node = await world.createNode();
    await world.list(node);
    const answer = await node.enrol({ eks: [{ public: toBase64(node.ek.public) }] });
    expect(answer.json).toMatchObject({
      state: 'enrolled',
      facts: { identity: 'uncertified', admission: 'listed' },
    });
  });

  test('what a verdict says of identity is what the node list says, however it enrolled again', async () => {
    const node = await world.createNode();
    await world.list(node);
    await node.enrol({ eks: [{ public: toBase64(node.ek.public) }] });
    for (const eks of [undefined, [{ public: toBase64(node.ek.public) }]]) {
      const { facts } = (await node.enrol(eks && { eks })).json;
      expect(facts.identity).toBe('certified');
      expect((await stateOf(node)).identity).toBe('certified');
      expect((await node.attest()).json.facts.identity).toBe('certified');
    }
  });

  test('E24 who enrols first with a chip that nobody listed waits all the same', async () => {
    const [first, second] = [await world.createNode(), await world.createNode()];
    await world.list(second);
    expect((await first.enrol()).json.state).toBe('pending');
    expect((await second.enrol()).json.state).toBe('enrolled');
  });
});

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
    const eks = [{ public: toBase64(node.ek.public), certificate: certificateOf(other.ek.certificate) }];
    expect(reasonsOf(await node.begin({ eks }))).toEqual(['ek-certificate-key-mismatch']);
    expect((await node.begin()).status, 'its twin').toBe(201);
  });

  test('E12 a certificate that is none is refused by name', async () => {
    const node = await world.createNode();
    const truncated = node.ek.certificate.subarray(0, -1);
    for (const certificate of [truncated, Buffer.from('not DER at all')]) {
      const eks = [{ public: toBase64(node.ek.public), certificate: certificateOf(certificate) }];
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
    const ek = { public: toBase64(node.ek.public), certificate: certificateOf(node.ek.certificate) };
    expect((await node.begin({ eks: [ek, ek] })).json.code).toBe('enrolment-refused');
  });

  test('E21 an enrolled machine does not change its attestation key', async () => {
    const node = await world.enrolledNode();
    const { ak } = node;
    node.ak = createSoftwareAk();
    const answer = await node.begin();
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
    node.ak = ak;
    expect((await node.begin()).status, 'its twin').toBe(201);
  });

  test('E22 an attestation key is not enrolled with a second endorsement key', async () => {
    const [node, other] = [await world.enrolledNode(), await world.createNode()];
    other.ak = node.ak;
    expect((await other.begin()).json.code).toBe('enrolment-refused');
  });

  test('E21 two enrolments under way with one chip and two keys: the second activation is refused', async () => {
    const node = await world.createNode();
    await world.list(node);
    const rival = await world.createNode({ ek: node.ek });
    const [offer, rivalOffer] = [(await node.begin()).json, (await rival.begin()).json];
    expect((await node.activate(offer.id, await node.activationBody(offer))).status).toBe(200);
    const answer = await rival.activate(rivalOffer.id, await rival.activationBody(rivalOffer));
    expect([answer.status, answer.json.code]).toEqual([403, 'enrolment-refused']);
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
    expect(new Set(losers.map(({ json }) => json.code))).toEqual(new Set(['enrolment-refused']));
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
    expect([400, 403]).toContain(answer.status);
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

describe('activation', () => {
  test('E18 a credential that was made for another chip is not opened, and any guess is refused', async () => {
    const [node, other] = [await world.createNode(), await world.createNode()];
    const offer = (await node.begin()).json;
    const foreign = makeCredential({
      ekPublic: other.ek.publicArea,
      objectName: node.akNameBytes,
      credential: Buffer.alloc(32, 7),
      random: (length) => Buffer.alloc(length, 9),
    });
    expect(() => node.ek.open({ ...foreign, name: node.akNameBytes })).toThrow();
    const body = await node.activationBody(offer);
    const secrets = [{ ekFingerprint: node.fingerprint, secret: toBase64(Buffer.alloc(32, 7)) }];
    const answer = await node.activate(offer.id, { ...body, secrets });
    expect([answer.status, answer.json.code]).toEqual([403, 'activation-refused']);
  });

  test('E18 a credential is bound to its attestation key: with another Name the chip refuses', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    node.ak = createSoftwareAk();
    expect(() => node.secretsFor(offer)).toThrow('TPM_RC_INTEGRITY');
  });

  test('E19 an activation is answered once: the same body again finds nothing', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    const body = await node.activationBody(offer);
    expect((await node.activate(offer.id, body)).status).toBe(200);
    const answer = await node.activate(offer.id, body);
    expect([answer.status, answer.json.code]).toEqual([404, 'enrolment-unknown']);
  });

  test('E19 of ten activations at once, one is taken', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    const body = await node.activationBody(offer);
    const answers = await Promise.all(Array.from({ length: 10 }, () => node.activate(offer.id, body)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    expect(answers.every(({ status }) => status < 500)).toBe(true);
  });

  test.each([
    ['a wrong secret', (secret: string) => [{ secret: flipped(secret) }]],
    ['a secret cut short', (secret: string) => [{ secret: toBase64(fromBase64(secret).subarray(0, 31)) }]],
    ['the same secret twice', (secret: string) => [{ secret }, { secret }]],
    ['another fingerprint', (secret: string) => [{ secret, ekFingerprint: 'ab'.repeat(32) }]],
  ])(
    'E20 %s ends the enrolment: its rows are gone, and the right answer comes too late',
    async (_, change) => {
      const node = await world.createNode();
      const before = world.rowCounts();
      const offer = (await node.begin()).json;
      const body = await node.activationBody(offer);
      const [right] = node.secretsFor(offer);
      const secrets = change(right?.secret ?? '').map((entry) => ({
        ekFingerprint: node.fingerprint,
        ...entry,
      }));
      const answer = await node.activate(offer.id, { ...body, secrets });
      expect([answer.status, answer.json.code]).toEqual([403, 'activation-refused']);
      expect(world.rowCounts()).toEqual(before);
      expect((await node.activate(offer.id, body)).json.code).toBe('enrolment-unknown');
    },
  );

  test('evidence that is refused ends the enrolment as well, and leaves no node', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    const body = await node.activationBody(offer, { claims: { stage0Build: 4 } });
    expect(reasonsOf(await node.activate(offer.id, body))).toEqual(['claims-stage0-mismatch']);
    const twin = await node.activate(offer.id, await node.activationBody(offer));
    expect(twin.json.code).toBe('enrolment-unknown');
    expect((await world.operators(`/admin/v1/nodes/${node.id}`)).status).toBe(404);
  });

  test('P1 a running system does not enrol', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    const body = await node.activationBody(offer, { pcrs: (pcrs) => pcrs.set(14, Buffer.alloc(32, 1)) });
    expect(reasonsOf(await node.activate(offer.id, body))).toEqual(['pcr14-not-zero']);
  });

  test('only the boot that began an enrolment can activate it, or ask how it went', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    const body = await node.activationBody(offer);
    const path = `/v1/enrolments/${offer.id}`;
    for (const [client, code] of [
      [node.connect(await createIdentity()), 'enrolment-unknown'],
      [node.connect(), 'client-certificate-missing'],
    ] as const) {
      expect((await node.post(`${path}/activation`, body, client)).json.code).toBe(code);
      expect((await client.call(path)).json.code).toBe(code);
    }
    expect((await node.activate(offer.id, body)).status, 'their tries did not end it').toBe(200);
    expect((await node.connect(await createIdentity()).call(path)).json.code).toBe('enrolment-unknown');
    expect((await node.poll(offer.id)).json.state).toBe('pending');
  });

  test('a challenge of another enrolment is not taken', async () => {
    const node = await world.createNode();
    const [first, second] = [(await node.begin()).json, (await node.begin()).json];
    const body = { ...(await node.activationBody(first)), secrets: node.secretsFor(second) };
    expect(reasonsOf(await node.activate(second.id, body))).toEqual(['challenge-unknown']);
    expect((await node.activate(first.id, await node.activationBody(first))).status, 'its twin').toBe(200);
  });

  test('Q51 an enrolment ends with its challenge', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    const body = await node.activationBody(offer);
    world.clock.advance(120);
    const answer = await node.activate(offer.id, body);
    expect([answer.status, answer.json.code]).toEqual([410, 'enrolment-ended']);
    expect((await node.activate(offer.id, body)).json.code).toBe('enrolment-unknown');
  });

  test('Q55 a fault of the store leaves no node and no enrolment', async () => {
    const node = await world.createNode();
    const offer = (await node.begin()).json;
    world.database((database) =>
      database.exec(`create trigger fault before insert on nodes begin select raise(abort, 'disk'); end`),
    );
    const answer = await node.activate(offer.id, await node.activationBody(offer));
    world.database((database) => database.exec('drop trigger fault'));
    expect([answer.status, answer.json.code]).toEqual([500, 'internal']);
    expect((await world.operators(`/admin/v1/nodes/${node.id}`)).status).toBe(404);
    expect((await node.enrol()).status, 'it can begin again').toBe(200);
  });
});

describe('P9 a chip with two endorsement keys', () => {
  test('P9 is one node, and revoked under both of them', async () => {
    const node = await world.createNode();
    const second = await createSoftwareEk(world.manufacturer);
    await world.list(node);
    const { nodeId, ekFingerprints } = await enrolWithBoth(node, second);
    expect(ekFingerprints).toHaveLength(2);
    const other = await world.createNode({ ek: second });
    expect((await other.begin()).json.code, 'no second node for the second key').toBe('enrolment-refused');
    await world.operators(`/admin/v1/nodes/${nodeId}/revoke`, { method: 'POST', body: {} });
    for (const rival of [other, await world.createNode({ ek: node.ek })])
      expect((await rival.begin()).json.code).toBe('node-revoked');
  });

  test('P9 both must be opened by the chip: one answered and one guessed is refused', async () => {
    const node = await world.createNode();
    const second = await createSoftwareEk(world.manufacturer);
    const offer = (await node.begin({ eks: [node.ek, second].map(toPresented) })).json as Offer;
    const secrets = offer.credentials.map((credential) => ({
      ekFingerprint: credential.ekFingerprint,
      secret: openedBy(node, node.ek, credential) ?? toBase64(Buffer.alloc(32)),
    }));
    const evidence = await node.evidence(offer.challenge, 'enrol');
    expect((await node.activate(offer.id, { secrets, evidence })).json.code).toBe('activation-refused');
  });

  test('P9 one key without a certificate makes the node uncertified', async () => {
    const node = await world.createNode();
    const second = await createSoftwareEk(world.manufacturer);
    const { public: bare } = toPresented(second);
    const { facts } = await enrolWithBoth(node, second, [toPresented(node.ek), { public: bare }]);
    expect(facts).toMatchObject({ identity: 'uncertified', admission: 'pending' });
  });

  const toPresented = (ek: SoftwareEk) => ({
    public: toBase64(ek.public),
    certificate: toBase64(ek.certificate),
  });

  async function enrolWithBoth(
    node: VirtualNode,
    second: SoftwareEk,
    eks: object[] = [node.ek, second].map(toPresented),
  ) {
    const offer = (await node.begin({ eks })).json as Offer;
    const secrets = offer.credentials.map((credential) => ({
      ekFingerprint: credential.ekFingerprint,
      secret: openedBy(node, node.ek, credential) ?? openedBy(node, second, credential),
    }));
    const evidence = await node.evidence(offer.challenge, 'enrol');
    const { json } = await node.activate(offer.id, { secrets, evidence });
    const { ekFingerprints } = (await world.operators(`/admin/v1/nodes/${json.nodeId}`)).json;
    return { nodeId: json.nodeId as string, facts: json.facts, ekFingerprints };
  }

  function openedBy(
    node: VirtualNode,
    ek: SoftwareEk,
    { credentialBlob, encryptedSecret }: Offer['credentials'][number],
  ): string | undefined {
    const credential = {
      credentialBlob: fromBase64(credentialBlob),
      encryptedSecret: fromBase64(encryptedSecret),
    };
    try {
      return toBase64(ek.open({ ...credential, name: node.akNameBytes }));
    } catch {
      return undefined;
    }
  }
});

describe('E28 a flood of enrolments', () => {
  test('E28 is bounded with 429, and machines that are enrolled or listed are served on', async () => {
    const [node, stranger, listed] = [
      await world.enrolledNode(),
      await world.createNode(),
      await world.createNode(),
    ];
    await world.list(listed);
    const expiry = world.clock.nowMs() / 1000 + 60;
    flood(`insert into enrolments values (?, x'00', '000b', 'thumbprint', '{}', ${expiry}, null)`);
    const answer = await stranger.begin();
    expect([answer.status, answer.json.code, answer.headers['retry-after']]).toEqual([
      429,
      'too-many-requests',
      '60',
    ]);
    expect((await node.attest()).status).toBe(200);
    expect((await node.enrol()).json.state).toBe('enrolled');
    expect((await listed.enrol()).json.state).toBe('enrolled');
    world.clock.advance(60);
    expect((await stranger.begin()).status, 'what expired does not count').toBe(201);
  });

  test('E28 machines that wait count: keys in software cost nothing', async () => {
    const [stranger, listed] = [await world.createNode(), await world.createNode()];
    await world.list(listed);
    flood(`insert into nodes (id, channel, status, identity, admission, ak_public, ak_name, untrusted_hints,
      created_at) values (?1, 'demo', 'pending', 'uncertified', 'pending', x'00', ?1, '{}', 0)`);
    expect((await stranger.begin()).json.code).toBe('too-many-requests');
    expect((await listed.enrol()).json.state).toBe('enrolled');
    world.database((database) =>
      database.exec(`update nodes set status = 'rejected' where ak_public = x'00'`),
    );
    expect((await stranger.begin()).status, 'its twin').toBe(201);
  });

  function flood(statement: string): void {
    world.database((database) => {
      database.exec('begin');
      const insert = database.prepare(statement);
      for (let index = 0; index < 2000; index += 1) insert.run(`flood-${index}`);
      database.exec('commit');
    });
  }
});

test('a machine may wait for days: how its enrolment went is not forgotten with what expired', async () => {
  const [waiting, silent] = [await world.createNode(), await world.createNode()];
  const offer = (await waiting.begin()).json;
  await waiting.activate(offer.id, await waiting.activationBody(offer));
  const unanswered = (await silent.begin()).json;
  world.clock.advance(2 * 86_400);
  await purgeAsHousekeepingDoes();
  expect((await waiting.poll(offer.id)).json.state).toBe('pending');
  const late = await silent.activate(unanswered.id, await silent.activationBody(unanswered));
  expect(late.json.code).toBe('enrolment-unknown');
  await world.decide('approve', waiting);
  expect((await waiting.poll(offer.id)).json.state).toBe('enrolled');
  world.clock.advance(7 * 86_400);
  await purgeAsHousekeepingDoes();
  expect((await waiting.poll(offer.id)).json.code).toBe('enrolment-unknown');
});

async function purgeAsHousekeepingDoes(): Promise<void> {
  const database = await openDatabase(join(world.config.dataDir, 'state.db'));
  await createSqlAttestationStore(database).purgeExpired(world.clock.nowMs() / 1000 - 3600);
  await database.destroy();
}

function flipped(secret: string): string {
  const bytes = Buffer.from(fromBase64(secret));
  bytes.writeUInt8(bytes.readUInt8(0) ^ 1, 0);
  return toBase64(bytes);
}
