import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import { createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import { logOfKernel } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { createIdentity } from '../../../src/fleet-sim/wire/ephemeral-identity.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

beforeAll(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
});

/** Every test is a boot of its own: a new ephemeral key, and the TPM has counted. */
beforeEach(() => node.powerCycle());

afterAll(() => world.close());

const hashOf = (bytes: Uint8Array) => toHex(sha256(bytes));
const OTHER_RELEASE_DIGEST = sha256(Buffer.from('a release that was handed over to'));

describe('boot evidence', () => {
  test('of an enrolled machine is accepted and brings release and grant', async () => {
    const { status, json } = await node.attest();
    expect(status).toBe(200);
    expect(json).toMatchObject({
      verdict: 'accept',
      reasons: [],
      facts: { identity: 'certified', admission: 'listed', state: 'measured' },
      release: {
        channel: 'demo',
        version: 1,
        target: 'channels/demo/1.json',
        digest: world.release.listing.sha256,
        name: 'demo release 1',
      },
    });
    expect((await world.verdictsOf(node))[0]).toMatchObject({ purpose: 'boot', verdict: 'accept' });
  });

  test('P1 fresh evidence from the running OS, with PCR 14 extended, is refused', async () => {
    const answer = await node.attest({
      pcrs: (pcrs) => pcrs.set(14, sha256(new Uint8Array(32), OTHER_RELEASE_DIGEST)),
    });
    expect(answer.status).toBe(403);
    expect(answer.json.code).toBe('evidence-refused');
    expect(reasonsOf(answer)).toEqual(['pcr14-not-zero']);
    expect((await world.verdictsOf(node))[0]).toMatchObject({ verdict: 'refuse' });
  });

  test('P3 evidence after the poison value is refused', async () => {
    const poison = sha256(Buffer.from('bootward poison v1'));
    const answer = await node.attest({ pcrs: (pcrs) => pcrs.set(14, sha256(new Uint8Array(32), poison)) });
    expect(reasonsOf(answer)).toEqual(['pcr14-not-zero']);
  });

  test('P4 enrolment evidence is not boot evidence', async () => {
    const offer = (await node.begin()).json;
    const answer = await node.submit(await node.evidence(offer.challenge, 'enrol'));
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['purpose-mismatch']);
    expect((await node.activate(offer.id, await node.activationBody(offer))).status, 'its twin').toBe(200);
  });

  test('P4 boot evidence is not enrolment evidence', async () => {
    const offer = (await node.begin()).json;
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const answer = await node.activate(offer.id, { ...(await node.activationBody(offer)), evidence });
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['purpose-mismatch']);
  });

  test('P4 the claims name the purpose of their challenge', async () => {
    for (const purpose of ['enrol', 'health', 'reattest'])
      expect(reasonsOf(await node.attest({ claims: { purpose } })), purpose).toEqual(['purpose-mismatch']);
  });

  test('P4 there are no challenges for purposes that this server does not serve', async () => {
    for (const purpose of ['enrol', 'BOOT', 'constructor'])
      expect((await node.post('/v1/challenges', { akName: node.akName, purpose })).status, purpose).toBe(400);
  });

  test('P6 a server key that is not ours is somebody in between', async () => {
    const answer = await node.attest({ claims: { serverKey: 'ab'.repeat(32) } });
    expect(reasonsOf(answer)).toEqual(['server-key-mismatch']);
  });

  test('P6 evidence is refused on a connection that proves another key', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const other = node.connect(await createIdentity());
    const answer = await node.post('/v1/evidence', evidence, other);
    expect(reasonsOf(answer)).toEqual(['ephemeral-key-mismatch']);
  });

  test('P6 evidence without a client certificate is not looked at, and its challenge stays good', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const answer = await node.post('/v1/evidence', evidence, node.connect());
    expect(answer.status).toBe(401);
    expect(answer.json.code).toBe('client-certificate-missing');
    expect((await node.submit(evidence)).status).toBe(200);
  });

  test('P12 the release kernel, booted directly by firmware, is no stage-0', async () => {
    const { eventLog } = node;
    node.eventLog = logOfKernel(world.release.kernel);
    const answer = await node.attest();
    node.eventLog = eventLog;
    expect(reasonsOf(answer)).toEqual(['stage0-not-listed']);
    expect(answer.json.detail).toMatch(/PCR 4 is .*PCR 11 is 0{64}/);
  });

  test('P12 PCR 4 of a listed stage-0 does not excuse PCR 11 of something else', async () => {
    const answer = await node.attest({
      pcrs: (pcrs) => pcrs.set(11, sha256(new Uint8Array(32), OTHER_RELEASE_DIGEST)),
    });
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['event-log-replay-mismatch']);
  });

  test('the build that the node claims must be the one that its PCRs show', async () => {
    expect(reasonsOf(await node.attest({ claims: { stage0Build: 2 } }))).toEqual(['claims-stage0-mismatch']);
  });

  test('Q51 a challenge is good until the second it expires', async () => {
    const inTime = await node.evidence(await node.challenge(), 'boot');
    world.clock.advance(119);
    expect((await node.submit(inTime)).status).toBe(200);
    const late = await node.evidence(await node.challenge(), 'boot');
    world.clock.advance(120);
    const answer = await node.submit(late);
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['challenge-expired']);
  });

  test('Q51 a clock that jumps back does not revive a consumed nonce', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    expect((await node.submit(evidence)).status).toBe(200);
    world.clock.advance(-3600);
    const answer = await node.submit(evidence);
    world.clock.advance(3600);
    expect(reasonsOf(answer)).toEqual(['nonce-consumed']);
  });

  test('Q53 of the same evidence sent ten times at once, one is accepted', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const answers = await Promise.all(Array.from({ length: 10 }, () => node.submit(evidence)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
    const refused = answers.filter(({ status }) => status !== 200);
    expect(new Set(refused.flatMap(reasonsOf))).toEqual(new Set(['nonce-consumed']));
  });

  test('E26 two copies of a TPM that answer at once: the one that is behind is held, or came first', async () => {
    const clone = await world.enrolledNode();
    const { resetCount } = clone.clockInfo;
    const bodies = [resetCount + 9, resetCount + 1].map(async (count) => {
      const attest = { clockInfo: { ...clone.clockInfo, resetCount: count } };
      return clone.evidence(await clone.challenge(), 'boot', { attest });
    });
    const [ahead, behind] = await Promise.all(bodies);
    const answers = await Promise.all([ahead, behind].map((body) => clone.submit(body)));
    expect(answers[0]?.status).toBe(200);
    const late = await clone.submit(
      await clone.evidence(await clone.challenge(), 'boot', {
        attest: { clockInfo: { ...clone.clockInfo, resetCount: resetCount + 1 } },
      }),
    );
    expect(reasonsOf(late), 'what was accepted last is the higher one').toEqual(['counters-went-back']);
  });

  test('Q54 a valid quote without its event log is refused', async () => {
    expect(reasonsOf(await node.attest({ eventLog: undefined }))).toEqual(['event-log-missing']);
  });

  test('Q54 a log that is not the one in the claims is refused', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const { eventLog: _, ...without } = evidence;
    expect(reasonsOf(await node.submit(without))).toEqual(['claims-event-log-mismatch']);
  });

  test('Q57 the attestation key comes from the store: another one of the same template signs in vain', async () => {
    const answer = await node.attest({ ak: createSoftwareAk() });
    expect(reasonsOf(answer)).toEqual(['signature-invalid']);
  });

  test('Q57 evidence does not carry a key: a field for one is refused', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    expect((await node.submit({ ...evidence, akPublic: 'AAAA' })).json.code).toBe('request-invalid');
    expect((await node.submit(evidence)).status, 'its twin').toBe(200);
  });

  test("a challenge of one machine cannot be answered with another's key", async () => {
    const other = await world.enrolledNode();
    const answer = await other.submit(await other.evidence(await node.challenge(), 'boot'));
    expect(answer.status).toBe(403);
    expect(reasonsOf(answer)).toEqual(['claims-ek-mismatch']);
  });

  test('a challenge that this server never made is unknown', async () => {
    const challenge = await node.challenge();
    const answer = await node.submit(await node.evidence(`${challenge.slice(0, -4)}AAAA`, 'boot'));
    expect(reasonsOf(answer)).toEqual(['challenge-unknown']);
  });

  test('challenges that nobody answers are bounded for each machine, and others are served on', async () => {
    const asked = await world.enrolledNode();
    for (let index = 0; index < 64; index += 1) expect((await asked.askChallenge()).status).toBe(200);
    const answer = await asked.askChallenge();
    expect([answer.status, answer.json.code]).toEqual([429, 'too-many-requests']);
    expect((await node.attest()).status).toBe(200);
    world.clock.advance(120);
    expect((await asked.attest()).status, 'what expired does not count').toBe(200);
  });

  test('an attestation key that nobody enrolled gets no challenge', async () => {
    const answer = await node.askChallenge(`000b${'0'.repeat(64)}`);
    expect([answer.status, answer.json.code]).toEqual([404, 'ak-unknown']);
  });
});

describe('when the store fails (Q55)', () => {
  /** `rollback` as on a full disk: SQLite then ends the transaction by itself. */
  const failWrites = (table: string, how: 'abort' | 'rollback' = 'abort') =>
    world.database((database) =>
      database.exec(`create trigger fault before insert on ${table} begin select raise(${how}, 'disk'); end`),
    );
  const repair = () => world.database((database) => database.exec('drop trigger fault'));

  test.each(['verdicts', 'grants'])(
    'Q55 a fault on %s is a bare 500, and no grant comes of it',
    async (table) => {
      const evidence = await node.evidence(await node.challenge(), 'boot');
      const before = world.rowCounts();
      failWrites(table);
      const answer = await node.submit(evidence);
      repair();
      expect(answer.status).toBe(500);
      expect(answer.json).toEqual({
        type: 'about:blank',
        title: 'The server failed',
        status: 500,
        code: 'internal',
        detail: 'the request failed inside the server; its log says why',
      });
      expect(world.rowCounts()).toEqual(before);
      expect((await node.submit(evidence)).status, 'nothing of it stayed: the challenge is still good').toBe(
        200,
      );
    },
  );

  test('O3 a transaction that the database itself took back is a 500, and the next request is served', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    failWrites('grants', 'rollback');
    expect((await node.submit(evidence)).status).toBe(500);
    repair();
    expect((await node.submit(evidence)).status).toBe(200);
  });

  test('Q55 a grant that cannot be looked up opens nothing', async () => {
    const grant = await node.grant();
    world.database((database) => database.exec('alter table grants rename to lost'));
    const answer = await node.fetch(hashOf(world.release.kernel), grant);
    world.database((database) => database.exec('alter table lost rename to grants'));
    expect([answer.status, answer.json.code]).toEqual([500, 'internal']);
    expect((await node.fetch(hashOf(world.release.kernel), grant)).status, 'its twin').toBe(200);
  });

  test('Q55 a fault while a challenge is stored is a 500 without a challenge', async () => {
    failWrites('challenges');
    const answer = await node.askChallenge();
    repair();
    expect(answer.status).toBe(500);
    expect(answer.json.challenge).toBeUndefined();
  });
});

describe('revoked while it attests', () => {
  test('Q55 the node gets no grant, although its evidence was good when it came in', async () => {
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const before = world.rowCounts();
    // Between reading the node and writing the verdict, somebody revokes it.
    world.database((database) =>
      database.exec(
        `create trigger revoked before insert on verdicts begin update nodes set status = 'revoked'; end`,
      ),
    );
    const answer = await node.submit(evidence);
    world.database((database) => database.exec('drop trigger revoked'));
    expect([answer.status, answer.json.code]).toEqual([403, 'node-revoked']);
    expect(answer.json.grant).toBeUndefined();
    expect(world.rowCounts()).toEqual(before);
  });
});

describe('P11 a stage-0 build that is withdrawn', () => {
  test('P11 is refused by name, and a listed build boots', async () => {
    const build2 = await world.desk.addStage0(2);
    await world.publishDesk();
    expect((await node.attest()).status, 'both are listed').toBe(200);

    await world.desk.withdraw('stage0', world.stage0.listing.target);
    expect((await world.publishDesk()).status).toBe(200);
    const answer = await node.attest();
    expect(reasonsOf(answer)).toEqual(['stage0-withdrawn']);
    expect(answer.json.detail).toContain('build 1');

    const updated = await world.createNode({ ek: node.ek, stage0: build2 });
    updated.ak = node.ak;
    updated.clockInfo = node.clockInfo;
    expect((await updated.attest()).status).toBe(200);
  });
});
