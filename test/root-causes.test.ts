import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { viewEventLog } from '../src/attestation/event-log/event-log-view.ts';
import { verifyEvidenceDocument } from '../src/attestation/evidence/evidence-file.ts';
import { verifyEvidence } from '../src/attestation/verify.ts';
import { asciiBytes, concatBytes, EMPTY, fromBase64, fromHex, sha256, toBase64 } from '../src/core/bytes.ts';
import { createSoftwareAk } from '../src/fleet-sim/chip/software-ak.ts';
import { bootEvents, type WrittenEvent, writeLog } from '../src/fleet-sim/firmware/event-log-writer.ts';
import type { VirtualNode } from '../src/fleet-sim/virtual-node.ts';
import { verifyRepository } from '../src/signing/tuf/verify-repository.ts';
import { parseSignatureLists } from '../src/tpm/efi-signature-list.ts';
import { parseEventLog } from '../src/tpm/event-log.ts';
import { EVENT_TYPE } from '../src/tpm/event-types.ts';
import {
  BOOT_LOG,
  codesOf,
  POLICY,
  pcrsOf,
  sealEvidence,
  validInput,
  verdictOnLog,
} from './attestation/evidence-fixture.ts';
import { PublishedServer, reasonsOf } from './boot-server/api/published-server.ts';
import { NOW_MS, signersOf, TestRepository } from './signing/tuf/tuf-fixture.ts';

// What broke systems like this one, by the name under which it became known. Each test would fail if the same
// flaw were here; the cases around it stand with the code that they are about.

const PCRS = pcrsOf(BOOT_LOG);

describe('the server', () => {
  let world: PublishedServer;
  let node: VirtualNode;

  beforeAll(async () => {
    world = await PublishedServer.publish();
    node = await world.enrolledNode();
  });
  afterAll(() => world.close());

  test('Keylime CVE-2021-3406: keys that were not verified are good for nothing', async () => {
    const stranger = await world.createNode();
    await world.list(stranger);
    await stranger.begin();
    expect((await stranger.askChallenge()).json.code, 'before activation').toBe('ak-unknown');
    const eks = [{ public: toBase64(stranger.ek.public), certificate: toBase64(node.ek.certificate) }];
    const borrowed = await stranger.begin({ eks });
    expect(borrowed.status, 'with the certificate of another TPM').toBeGreaterThanOrEqual(400);
    expect(borrowed.json.id).toBeUndefined();
  });

  test('Keylime CVE-2022-1053: the key that was activated is the only one that may quote', async () => {
    const stranger = await world.createNode();
    await world.list(stranger);
    const other = createSoftwareAk();
    const offer = (await stranger.begin()).json;
    const answer = await stranger.activate(offer.id, await stranger.activationBody(offer, { ak: other }));
    expect(reasonsOf(answer)).toEqual(['signature-invalid']);
    await node.powerCycle();
    expect(reasonsOf(await node.attest({ ak: other }))).toEqual(['signature-invalid']);
  });

  test('Keylime CVE-2022-3500: a fault while evidence is verified leaves no node attested', async () => {
    await node.powerCycle();
    const akPublic = storedAk();
    world.database((database) =>
      database.prepare('update nodes set ak_public = ? where id = ?').run(akPublic.subarray(1), node.id),
    );
    const answer = await node.attest();
    world.database((database) =>
      database.prepare('update nodes set ak_public = ? where id = ?').run(akPublic, node.id),
    );
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.json.grant).toBeUndefined();
    const verdicts = await world.verdictsOf(node);
    expect(verdicts.filter(({ purpose, verdict }) => purpose === 'boot' && verdict === 'accept')).toEqual([]);
    expect((await node.attest()).status, 'without the fault').toBe(200);

    function storedAk(): Uint8Array {
      const row = world.database((database) =>
        database.prepare('select ak_public from nodes where id = ?').get(node.id),
      );
      return row?.ak_public as Uint8Array;
    }
  });

  test('Keylime CVE-2023-3674: a signature that does not hold is a refusal, not a line in a log', async () => {
    await node.powerCycle();
    const evidence = await node.evidence(await node.challenge(), 'boot');
    const signature = Uint8Array.from(fromBase64(evidence.signature));
    signature.set([(signature.at(-1) ?? 0) ^ 1], signature.length - 1);
    const answer = await node.submit({ ...evidence, signature: toBase64(signature) });
    expect([answer.status, reasonsOf(answer), answer.json.grant]).toEqual([
      403,
      ['signature-invalid'],
      undefined,
    ]);
  });

  test('Keylime CVE-2023-38200: a TLS handshake that never ends keeps nobody waiting', async () => {
    const half = fromHex('160301010001');
    const sockets = Array.from({ length: 40 }, () => {
      const socket = connect(world.ports.agents, '127.0.0.1', () => socket.write(half));
      return socket.on('error', () => undefined);
    });
    const startedAt = Date.now();
    const answer = await (await world.stranger()).call('/healthz');
    for (const socket of sockets) socket.destroy();
    expect(answer.status).toBe(200);
    expect(Date.now() - startedAt).toBeLessThan(5000);
  });

  test('Keylime CVE-2023-38201: only what the TPM decrypted activates', async () => {
    const stranger = await world.createNode();
    await world.list(stranger);
    const foreign = await world.createNode();
    const foreignOffer = (await foreign.begin()).json;
    const guesses = [
      () => [],
      ([{ ekFingerprint }]: Secrets) => [{ ekFingerprint, secret: toBase64(new Uint8Array(32)) }],
      ([{ ekFingerprint }]: Secrets) => [{ ekFingerprint, secret: toBase64(sha256(stranger.akNameBytes)) }],
      () => foreign.secretsFor(foreignOffer),
    ];
    for (const guess of guesses) {
      const offer = (await stranger.begin()).json;
      const body = await stranger.activationBody(offer);
      const answer = await stranger.activate(offer.id, { ...body, secrets: guess(body.secrets as Secrets) });
      expect(answer.status).toBeGreaterThanOrEqual(400);
      expect((await stranger.askChallenge()).json.code).toBe('ak-unknown');
    }
  });

  test('Keylime CVE-2025-13609: one endorsement key, two attestation keys at once: one is bound', async () => {
    const machine = await world.createNode();
    await world.list(machine);
    const keys = [machine.ak, createSoftwareAk()];
    const activations: { id: string; body: unknown }[] = [];
    for (const ak of keys) {
      machine.ak = ak;
      const offer = (await machine.begin()).json;
      activations.push({ id: offer.id, body: await machine.activationBody(offer) });
    }
    await Promise.all(activations.map(({ id, body }) => machine.activate(id, body)));
    const answers = [];
    for (const ak of keys) {
      machine.ak = ak;
      answers.push((await machine.askChallenge()).status);
    }
    expect(answers.filter((status) => status === 200)).toHaveLength(1);
  });

  test('Keylime CVE-2026-1709: nothing is given to a client that proves no key', async () => {
    const nobody = await world.stranger();
    await node.powerCycle();
    const bodies = {
      '/v1/enrolments': node.enrolmentBody(),
      '/v1/evidence': await node.evidence(await node.challenge(), 'boot'),
    };
    for (const [path, body] of Object.entries(bodies)) {
      const answer = await nobody.call(path, { method: 'POST', body });
      expect([answer.status, answer.json.code], path).toEqual([401, 'client-certificate-missing']);
    }
    expect((await nobody.call(`/v1/artifacts/${world.release.listing.sha256}`)).status).toBe(401);
    expect((await nobody.call('/admin/v1/nodes')).status).toBe(404);
  });

  test('Keylime CVE-2026-1709: no bearer token lies in the database as it was given', async () => {
    await node.powerCycle();
    const grant = await node.grant();
    const body = { channel: 'demo', validSeconds: 600, comment: 'rack 7' };
    const { json } = await world.operators('/admin/v1/tokens', { method: 'POST', body });
    expect(json.token, 'a token was made').toMatch(/^.{20,}$/);
    world.database((database) => database.exec('pragma wal_checkpoint(truncate)'));
    const file = readFileSync(`${world.config.dataDir}/state.db`);
    expect(file.includes(node.id), 'it is the right file').toBe(true);
    expect(file.includes(json.token)).toBe(false);
    expect(file.includes(grant)).toBe(false);
    expect(file.includes(grant.split('.')[2] ?? grant)).toBe(false);
  });

  test('Keylime CVE-2026-1709: what has expired is purged, and what has not is kept', async () => {
    await node.powerCycle();
    const old = await node.challenge();
    world.clock.advance(world.config.challengeTtlSeconds + 1);
    const fresh = await node.challenge();
    const late = await node.submit(await node.evidence(old, 'boot'));
    expect(reasonsOf(late)[0]).toMatch(/^challenge-(?:expired|unknown)$/);
    expect((await node.submit(await node.evidence(fresh, 'boot'))).status).toBe(200);
  });

  test('Keylime CVE-2026-6420: no two challenges carry the same nonce', async () => {
    await node.powerCycle();
    const nonces = new Set<string>();
    for (let count = 0; count < 20; count += 1) {
      const payload = (await node.challenge()).split('.')[1] ?? '';
      const { nonce } = JSON.parse(Buffer.from(payload, 'base64url').toString());
      expect(Buffer.from(nonce, 'base64url').length).toBeGreaterThanOrEqual(16);
      nonces.add(nonce);
    }
    expect(nonces.size).toBe(20);
  });

  test('certificates nested without end are refused, not followed', async () => {
    const stranger = await world.createNode();
    const eks = [{ public: toBase64(stranger.ek.public), certificate: toBase64(nestedDer(800)) }];
    const answer = await stranger.begin({ eks });
    expect([answer.status, reasonsOf(answer)]).toEqual([403, ['ek-certificate-malformed']]);
  });

  test('EK certificates: an id-RSAESOAEP key is refused by name; NV header and padding change no identity', async () => {
    const machine = await world.createNode();
    await world.list(machine);
    const rsaEncryption = fromHex('06092a864886f70d010101');
    const oaep = Buffer.from(machine.ek.certificate);
    oaep[oaep.indexOf(rsaEncryption) + rsaEncryption.length - 1] = 0x07;
    const ekPublic = toBase64(machine.ek.public);
    const refused = await machine.begin({ eks: [{ public: ekPublic, certificate: toBase64(oaep) }] });
    expect([refused.status, reasonsOf(refused)]).toEqual([403, ['ek-certificate-key-unsupported']]);
    const padded = concatBytes(machine.ek.certificate, new Uint8Array(64).fill(0xff));
    const eks = [{ public: ekPublic, certificate: toBase64(padded) }];
    expect((await machine.enrol({ eks })).json).toMatchObject({ state: 'enrolled', nodeId: machine.id });
  });

  test('Fastify CVE-2025-32442, 2026-25223, 2026-3419: no spelling of a content type goes round the schema', async () => {
    const body = JSON.stringify({ ...node.enrolmentBody(), unknown: 'member' });
    for (const type of [
      'application/json',
      'Application/JSON',
      'application/json;charset=utf-8',
      'application/json ; charset=utf-8',
      'application/json\t; x=y',
      'application/json;',
      'application/json a',
      'application/ json',
      'application/jsonfoo',
      'application/json, application/json',
    ]) {
      const answer = await node.client.call('/v1/enrolments', {
        method: 'POST',
        headers: { 'content-type': type },
        body,
      });
      expect([400, 415], type).toContain(answer.status);
    }
    const { dependencies } = JSON.parse(readFileSync('package.json', 'utf8'));
    const [major, minor, patch] = dependencies.fastify.split('.').map(Number);
    expect(major * 1e6 + minor * 1e3 + patch).toBeGreaterThanOrEqual(5_008_001);
  });
});

type Secrets = [{ ekFingerprint: string; secret: string }];

describe('the verifier', () => {
  test('Keylime CVE-2022-3500: a bug of our own refuses too', () => {
    const input = validInput({});
    const broken = Object.defineProperty({ ...input }, 'policy', {
      get: () => {
        throw new Error('a bug');
      },
    });
    expect(verifyEvidence(input).verdict).toBe('accept');
    expect(verifyEvidence(broken)).toMatchObject({
      verdict: 'refuse',
      reasons: [{ code: 'verification-failed' }],
    });
  });

  test('Kairos: a quote without our nonce answers nothing', () => {
    for (const extraData of [EMPTY, new Uint8Array(32)]) {
      const untrustedEvidence = sealEvidence({ log: BOOT_LOG, pcrs: PCRS, extraData });
      expect(codesOf(verifyEvidence(validInput({ untrustedEvidence })))).toEqual(['extra-data-mismatch']);
    }
  });

  test('go-attestation CVE-2022-0317: a quote must cover every PCR of the policy', () => {
    const some = new Map([...PCRS].filter(([pcr]) => pcr !== 4));
    const over = (pcrs: ReadonlyMap<number, Uint8Array>, changes = {}) =>
      codesOf(
        verifyEvidence(validInput({ untrustedEvidence: sealEvidence({ log: BOOT_LOG, pcrs, changes }) })),
      );
    expect(over(some)).toEqual(['selection-incomplete']);
    expect(over(new Map(), { selections: [] })).toEqual(['selection-empty']);
  });

  test('go-attestation GHSA-9r4w-jg96-92mv: what stands in the header of a signature list is no signature', () => {
    const entry = (byte: number) => concatBytes(new Uint8Array(16), new Uint8Array(32).fill(byte));
    const u32 = (value: number) => Uint8Array.of(value, 0, 0, 0);
    const sha256List = fromHex('2616c4c14c509240aca941f936934328');
    const list = concatBytes(sha256List, u32(28 + 96), u32(48), u32(48), entry(0xee), entry(0x11));
    expect(parseSignatureLists(list)).toEqual([{ kind: 'sha256', data: Buffer.alloc(32, 0x11) }]);
  });

  test('unbounded recursion: documents nested without end are refused, not followed', () => {
    const deep = `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`;
    const document = `{"format":"bootward-evidence-v1","policy":${deep}}`;
    let answer: unknown;
    try {
      answer = verifyEvidenceDocument(document);
    } catch (cause) {
      answer = cause;
    }
    expect(answer).not.toBeInstanceOf(RangeError);
    expect(JSON.stringify(answer)).toMatch(/evidence-(?:unreadable|malformed|too-large)/);
  });

  test('event types are not covered by any digest: relabelling an event hides nothing', () => {
    const relabelled = bootEvents().map(
      (event): WrittenEvent =>
        event.type === EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION ? { ...event, type: 0x0d } : event,
    );
    expect(codesOf(verdictOnLog(writeLog(relabelled), PCRS))).toEqual(['event-log-type-unexpected']);
  });

  test('events of PCRs that no quote covers are hearsay', () => {
    const forged: WrittenEvent = { pcr: 15, type: 0x0d, data: asciiBytes('all is well') };
    const log = writeLog([...bootEvents(), forged]);
    expect(verdictOnLog(log, PCRS)).toMatchObject({ notes: [{ code: 'events-unquoted' }] });
    const [event] = viewEventLog({
      log: parseEventLog(log),
      hash: { id: 0x0b, name: 'sha256', size: 32 },
      quotedPcrs: PCRS,
      pcrs: [15],
    }).events;
    expect(event?.proven).toBe('nothing');
    const policy = { ...POLICY, referenceValues: [{ pcr: 15, accepted: [sha256(EMPTY)] }] };
    const untrustedEvidence = sealEvidence({ log, pcrs: PCRS });
    expect(codesOf(verifyEvidence(validInput({ untrustedEvidence, policy })))).toEqual([
      'reference-unusable',
    ]);
  });

  test('tpm2-tools 5.4: EV_NO_ACTION is never extended, and StartupLocality is where PCR 0 begins', () => {
    const note = (text: string, ...more: number[]): WrittenEvent => ({
      pcr: 0,
      type: EVENT_TYPE.EV_NO_ACTION,
      data: concatBytes(asciiBytes(text), Uint8Array.from(more)),
    });
    const sp800 = writeLog([note('SP800-155 Event\0', 1, 2, 3, 4), ...bootEvents()]);
    expect(pcrsOf(sp800)).toEqual(PCRS);
    // A TPM that was started from locality 3 begins there: test/tpm/startup-locality.test.ts asks one.
    const start = concatBytes(new Uint8Array(31), Uint8Array.of(3));
    const [version] = bootEvents();
    const log = writeLog([note('StartupLocality\0', 3), ...(version ? [version] : [])]);
    expect(pcrsOf(log).get(0)).toEqual(Buffer.from(sha256(start, sha256(version?.data ?? EMPTY))));
  });
});

describe('metadata', () => {
  const codeOf = ({ trustedRoot, files }: TestRepository, more = {}): string => {
    try {
      verifyRepository({ trustedRoot, files, nowMs: NOW_MS, ...more });
      return 'accepted';
    } catch (cause) {
      return (cause as { code: string }).code;
    }
  };

  test('go-tuf CVE-2022-29173: an older version of a role is not taken for a newer one', async () => {
    const repository = await TestRepository.create();
    const { trustedRoot, files } = repository;
    const { roles } = verifyRepository({ trustedRoot, files, nowMs: NOW_MS });
    for (const [role, seen] of roles) {
      const previous = new Map(roles).set(role, { ...seen, version: seen.version + 1 });
      expect(codeOf(repository, { previous }), role).toBe('tuf-rollback');
    }
  });

  test('go-tuf GHSA-3633-5h82-39pq: one key that signs twice is one signature', async () => {
    const repository = await TestRepository.create();
    const [signer] = signersOf('timestamp');
    await repository.flip('timestamp', () => undefined, signer ? [signer, signer] : []);
    expect(codeOf(repository)).toBe('tuf-metadata-invalid');
  });

  test('go-tuf CVE-2026-23992: a threshold that asks for nothing is no threshold', async () => {
    for (const threshold of [0, -1]) {
      const repository = await TestRepository.create();
      await repository.flip('root', ({ roles }) => Object.assign(roles.timestamp, { threshold }));
      await repository.flip('timestamp', () => undefined, []);
      expect(codeOf(repository)).toBe('tuf-role-invalid');
    }
  });

  test('go-tuf CVE-2026-24686: a name in metadata never becomes a path', async () => {
    for (const name of ['../evil', 'channel-../../evil', 'channel-demo/../x', '..\\evil']) {
      const repository = await TestRepository.create();
      await repository.flip('targets', ({ delegations }) => {
        delegations.roles[0].name = name;
      });
      expect(codeOf(repository), name).toMatch(/^tuf-/);
    }
  });
});

/** SEQUENCE in SEQUENCE, as deep as asked. */
function nestedDer(depth: number): Uint8Array {
  let der: Uint8Array = fromHex('0500');
  for (let level = 0; level < depth; level += 1)
    der = concatBytes(Uint8Array.of(0x30, 0x82, der.length >> 8, der.length & 0xff), der);
  return der;
}
