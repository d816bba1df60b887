import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fromBase64, toBase64 } from '../../../src/core/bytes.ts';
import { createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { createIdentity } from '../../../src/fleet-sim/wire/ephemeral-identity.ts';
import { openDatabase } from '../../../src/storage/database.ts';
import { createSqlAttestationStore } from '../../../src/storage/sql-attestation-store.ts';
import { makeCredential } from '../../../src/tpm/credential.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

const stateOf = async (node: VirtualNode) => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;

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

describe('E28 a flood of enrolments', () => {
  test('E28 is bounded with 429, and machines that are enrolled or listed are served on', async () => {
    const [node, stranger, listed] = [
      await world.enrolledNode(),
      await world.createNode(),
      await world.createNode(),
    ];
    await world.list(listed);
    const expiry = world.clock.nowMs() / 1000 + 60;
    flood(`insert into enrolments (id, ak_public, ak_name, client_thumbprint, untrusted_hints, expires_at)
      values (?, x'00', '000b', 'thumbprint', '{}', ${expiry})`);
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
