import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { sql } from 'kysely';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type {
  Activation,
  AttestationStore,
  ChallengeRecord,
  EnrolmentRecord,
  KnownFloor,
  VerdictRecord,
} from '../../src/attestation/attestation-store.ts';
import type { EndorsementKey, NodeRecord } from '../../src/attestation/node.ts';
import type { Purpose } from '../../src/attestation/quote/purpose.ts';
import { type Database, openDatabase } from '../../src/storage/database.ts';
import { createSqlAttestationStore } from '../../src/storage/sql-attestation-store.ts';

const run = promisify(execFile);
const ANSWERING_PROCESS = new URL('./answering-process.ts', import.meta.url).pathname;

let folder: string;
let file: string;
let database: Database;
let store: AttestationStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootward-store-'));
  file = join(folder, 'state.db');
  database = await openDatabase(file);
  store = createSqlAttestationStore(database);
});

afterEach(async () => {
  await database.destroy();
  await rm(folder, { recursive: true });
});

const challenge = (over: Partial<ChallengeRecord> = {}): ChallengeRecord => ({
  sha256: 'c1',
  akName: 'ak1',
  purpose: 'boot',
  issuedAtSeconds: 1000,
  expiresAtSeconds: 1120,
  ...over,
});

const key: EndorsementKey = { fingerprint: 'ek1', publicArea: new Uint8Array([1]), identity: 'certified' };

const node = (over: Partial<NodeRecord> = {}): NodeRecord => ({
  id: 'n1',
  channel: 'demo',
  status: 'enrolled',
  identity: 'certified',
  admission: 'listed',
  akPublic: new Uint8Array([2]),
  akName: 'ak1',
  ekFingerprints: ['ek1'],
  untrustedHints: { mac: '52:54:00:00:00:01' },
  counters: {
    clock: 2n ** 63n + 5n,
    resetCount: 4_000_000_000,
    restartCount: 1,
    firmwareVersion: 2n ** 64n - 1n,
  },
  akGeneration: 1,
  akMayChange: false,
  akRotationDue: false,
  romAsserted: false,
  floorExpected: false,
  createdAtSeconds: 1001,
  ...over,
});

const enrolment = (over: Partial<EnrolmentRecord> = {}): EnrolmentRecord => ({
  id: 'e1',
  akPublic: new Uint8Array([2]),
  akName: 'ak1',
  credentials: [{ ...key, secretSha256: 's1' }],
  clientThumbprint: 't1',
  untrustedHints: {},
  notes: [],
  expiresAtSeconds: 1120,
  ...over,
});

const verdict = (over: Partial<VerdictRecord> = {}): VerdictRecord => ({
  akName: 'ak1',
  nodeId: 'n1',
  purpose: 'boot',
  verdict: 'accept',
  reasons: [],
  notes: [{ code: 'clock-not-safe', message: 'a note' }],
  facts: { identity: 'certified', admission: 'listed', state: 'measured' },
  evidenceDocument: '{}',
  atSeconds: 1010,
  ...over,
});

const grant = (id: string) => ({
  id,
  nodeId: 'n1',
  channel: 'demo',
  version: 1,
  releaseDigest: 'd1',
  clientThumbprint: 't1',
  issuedAtSeconds: 1010,
  expiresAtSeconds: 1610,
});

async function enrol(over: Partial<Activation> = {}): Promise<string> {
  await store.saveEnrolment(enrolment({ id: over.enrolmentId ?? 'e1' }));
  await store.saveChallenge(challenge({ sha256: over.challengeSha256 ?? 'c0', purpose: 'enrol' }));
  return store.commitActivation({
    enrolmentId: 'e1',
    challengeSha256: 'c0',
    node: node(),
    endorsementKeys: [key],
    verdict: verdict({ purpose: 'enrol' }),
    ...over,
  });
}

test('the database file is readable by its owner only', async () => {
  expect((await stat(file)).mode & 0o777).toBe(0o600);
});

test('a node comes back as it was enrolled, 64-bit counters whole', async () => {
  expect(await enrol()).toBe('committed');
  expect(await store.findNodeByEk('ek1')).toEqual({ ...node(), lastVerdictAtSeconds: undefined });
  expect(await store.findNodeByAk('ak1')).toMatchObject({ id: 'n1' });
});

test('what was committed is there after the database is opened again', async () => {
  await enrol();
  await database.destroy();
  database = await openDatabase(file);
  store = createSqlAttestationStore(database);
  expect(await store.findNode('n1')).toMatchObject({ status: 'enrolled' });
});

test('E19 an activation answered twice commits once', async () => {
  await enrol();
  const again = {
    enrolmentId: 'e1',
    challengeSha256: 'c0',
    node: node(),
    endorsementKeys: [key],
    verdict: verdict(),
  };
  expect(await store.commitActivation(again)).toBe('nonce-consumed');
});

test('E20 an ended enrolment leaves neither its credentials nor its challenge', async () => {
  await store.saveEnrolment(enrolment());
  await store.saveChallenge(challenge({ enrolmentId: 'e1' }));
  await store.endEnrolment('e1');
  expect(await store.findEnrolment('e1')).toBeUndefined();
  expect(await store.findChallenge('c1')).toBeUndefined();
});

test('E21 the node keeps its attestation key against an activation with another one', async () => {
  await enrol();
  const other = { challengeSha256: 'c9', enrolmentId: 'e9', node: node({ akName: 'ak2' }) };
  expect(await enrol(other)).toBe('conflict');
  expect(await store.findNode('n1')).toMatchObject({ akName: 'ak1' });
});

test('E22 one endorsement key cannot be bound to a second node, and nothing of the attempt stays', async () => {
  await enrol();
  const second = { challengeSha256: 'c9', enrolmentId: 'e9', node: node({ id: 'n2', akName: 'ak2' }) };
  expect(await enrol(second)).toBe('conflict');
  expect(await store.findNode('n2')).toBeUndefined();
  expect(await store.findChallenge('c9')).toMatchObject({ consumed: false });
});

test('E29 a revoked node stays revoked when it enrols again', async () => {
  await enrol();
  await store.changeNodeStatus({ nodeId: 'n1', from: ['enrolled'], to: 'revoked', atSeconds: 1 });
  expect(await enrol({ challengeSha256: 'c9', enrolmentId: 'e9' })).toBe('conflict');
  expect(await store.findNode('n1')).toMatchObject({ status: 'revoked' });
});

test('an approved node that enrols again is not set back to pending by a stale decision', async () => {
  await enrol({ node: node({ status: 'pending', admission: 'pending' }) });
  await store.changeNodeStatus({
    nodeId: 'n1',
    from: ['pending'],
    to: 'enrolled',
    admission: 'approved',
    atSeconds: 1,
  });
  const stale = {
    challengeSha256: 'c9',
    enrolmentId: 'e9',
    node: node({ status: 'pending', admission: 'pending' }),
  };
  expect(await enrol(stale)).toBe('conflict');
  expect(await store.findNode('n1')).toMatchObject({ status: 'enrolled', admission: 'approved' });
});

test('a challenge is consumed once, whatever the verdict was', async () => {
  await enrol();
  await store.saveChallenge(challenge());
  const refused = verdict({ verdict: 'refuse', reasons: [{ code: 'signature-invalid', message: 'no' }] });
  expect(await store.commitVerdict({ challengeSha256: 'c1', verdict: refused })).toBe('committed');
  expect(await store.commitVerdict({ challengeSha256: 'c1', verdict: verdict() })).toBe('nonce-consumed');
  expect(await store.listVerdicts({ nodeId: 'n1', limit: 5 })).toMatchObject([
    { verdict: 'refuse', reasons: [{ code: 'signature-invalid' }] },
    { purpose: 'enrol' },
  ]);
});

test('Q51 a challenge answered a second too late is expired, one second earlier it is not', async () => {
  await enrol();
  await store.saveChallenge(challenge());
  const late = verdict({ atSeconds: 1120 });
  expect(await store.commitVerdict({ challengeSha256: 'c1', verdict: late })).toBe('challenge-expired');
  const inTime = verdict({ atSeconds: 1119 });
  expect(await store.commitVerdict({ challengeSha256: 'c1', verdict: inTime })).toBe('committed');
});

test('Q53 of many answers at once, from this server and two others, exactly one is taken', async () => {
  await enrol();
  await store.saveChallenge(challenge());
  const others = ['1', '2'].map(() => run(process.execPath, [ANSWERING_PROCESS, file, 'c1', '8']));
  const own = Array.from({ length: 8 }, () =>
    store.commitVerdict({ challengeSha256: 'c1', verdict: verdict() }),
  );
  const heard = (await Promise.all(others)).flatMap(({ stdout }) => stdout.split('\n'));
  const outcomes = [...(await Promise.all(own)), ...heard];
  expect(outcomes.filter((outcome) => outcome === 'committed')).toHaveLength(1);
  expect(outcomes.filter((outcome) => outcome === 'nonce-consumed')).toHaveLength(23);
});

test('a new grant closes the one before', async () => {
  await enrol();
  for (const id of ['g1', 'g2']) {
    await store.saveChallenge(challenge({ sha256: id }));
    await store.commitVerdict({ challengeSha256: id, verdict: verdict(), grant: grant(id) });
  }
  expect(await store.findOpenGrant('g1')).toBeUndefined();
  expect(await store.findOpenGrant('g2')).toEqual(grant('g2'));
});

test('revoking a node closes its grant and refuses an accepted verdict under way', async () => {
  await enrol();
  await store.saveChallenge(challenge());
  await store.commitVerdict({ challengeSha256: 'c1', verdict: verdict(), grant: grant('g1') });
  await store.saveChallenge(challenge({ sha256: 'c2' }));
  await store.changeNodeStatus({ nodeId: 'n1', from: ['enrolled'], to: 'revoked', atSeconds: 1 });
  expect(await store.findOpenGrant('g1')).toBeUndefined();
  const late = { challengeSha256: 'c2', verdict: verdict(), grant: grant('g2') };
  expect(await store.commitVerdict(late)).toBe('node-not-enrolled');
  expect(await store.findOpenGrant('g2')).toBeUndefined();
});

test('expired challenges and unfinished enrolments are forgotten, nodes are not', async () => {
  await enrol();
  await store.saveChallenge(challenge());
  await store.saveEnrolment(enrolment({ id: 'e2' }));
  expect(await store.countOpenEnrolments(1000)).toBe(1);
  await store.purgeExpired(2000);
  expect(await store.findChallenge('c1')).toBeUndefined();
  expect(await store.findEnrolment('e2')).toBeUndefined();
  expect(await store.findNode('n1')).toBeDefined();
});

test('evidence is kept for the latest verdicts of a node and let go for older ones', async () => {
  await enrol();
  for (let index = 0; index < 25; index += 1) await store.recordRefusal(verdict({ verdict: 'refuse' }));
  const verdicts = await store.listVerdicts({ nodeId: 'n1', limit: 50 });
  expect(verdicts).toHaveLength(26);
  const boots = verdicts.filter(({ purpose }) => purpose === 'boot');
  expect(boots.filter((each) => each.evidenceDocument !== undefined)).toHaveLength(20);
});

test('E28 a node that enrols again is found by its latest enrolment, and the one before is forgotten', async () => {
  const pending = node({ status: 'pending', admission: 'pending' });
  const countersBefore = pending.counters;
  await enrol({ node: pending });
  const again = { enrolmentId: 'e9', challengeSha256: 'c9', node: pending };
  expect(await enrol({ ...again, ...(countersBefore && { countersBefore }) })).toBe('committed');
  const find = (enrolmentId: string) => store.findEnrolledNode({ enrolmentId, clientThumbprint: 't1' });
  expect(await find('e9')).toMatchObject({ id: 'n1' });
  expect(await find('e1')).toBeUndefined();
});

test('E28 of a node that enrols again and again only the latest evidence is kept', async () => {
  await enrol();
  for (let index = 0; index < 3; index += 1) await store.recordRefusal(verdict({ purpose: 'enrol' }));
  const verdicts = await store.listVerdicts({ nodeId: 'n1', limit: 50 });
  expect(verdicts.map((each) => each.evidenceDocument !== undefined)).toEqual([true, false, false, false]);
});

test('a node that is refused for ever keeps a bounded history', async () => {
  await enrol();
  const refused = verdict({ verdict: 'refuse' });
  for (let index = 0; index < 510; index += 1) await store.recordRefusal(refused);
  expect(await store.listVerdicts({ nodeId: 'n1', limit: 1000 })).toHaveLength(500);
});

test('refusals of strangers keep a bounded history, and take nothing from a node', async () => {
  await enrol();
  const raw = new DatabaseSync(file);
  raw.exec(
    `with recursive n (i) as (select 1 union all select i + 1 from n where i < 10050)
     insert into verdicts (ak_name, purpose, verdict, reasons, notes, at) select 'ak', 'enrol', 'refuse', '[]', '[]', i from n`,
  );
  raw.close();
  await store.purgeExpired(0);
  const kept = await store.listVerdicts({ limit: 20_000 });
  expect(kept.filter(({ nodeId }) => nodeId === undefined)).toHaveLength(10_000);
  expect(kept.filter(({ nodeId }) => nodeId === 'n1')).toHaveLength(1);
});

test('O11 a database that a newer version has written is refused and left alone', async () => {
  await database.destroy();
  const raw = new DatabaseSync(file);
  raw.exec("insert into kysely_migration (name, timestamp) values ('9999-from-the-future', '2030')");
  raw.close();
  await expect(openDatabase(file)).rejects.toMatchObject({ code: 'database-newer' });
  database = await openDatabase(join(folder, 'other.db'));
});

test('E26 of two accepted boots that were judged on the same counters, the second is judged again', async () => {
  await enrol();
  const [before, ahead, behind] = [4_000_000_000, 4_000_000_005, 4_000_000_001].map((resetCount) => ({
    clock: 2n ** 63n + 5n,
    resetCount,
    restartCount: 1,
    firmwareVersion: 2n ** 64n - 1n,
  }));
  if (!before || !ahead || !behind) throw new Error('three sets of counters');
  for (const sha256 of ['c1', 'c2']) await store.saveChallenge(challenge({ sha256 }));
  const commit = (challengeSha256: string, now: typeof before) =>
    store.commitVerdict({ challengeSha256, verdict: verdict(), counters: { before, now } });
  expect(await commit('c1', ahead)).toBe('committed');
  expect(await commit('c2', behind)).toBe('basis-moved');
  expect(await store.findChallenge('c2')).toMatchObject({ consumed: false });
  expect(await store.findNode('n1')).toMatchObject({ counters: { resetCount: ahead.resetCount } });
});

test('O3 a disk that fills is said by name, changes nothing, and afterwards all goes on', async () => {
  await enrol();
  await store.saveChallenge(challenge());
  const { rows } = await sql<{ page_count: number }>`pragma page_count`.execute(database);
  await sql.raw(`pragma max_page_count = ${rows[0]?.page_count}`).execute(database);
  const large = verdict({ evidenceDocument: 'x'.repeat(1_000_000) });
  const writes = [
    () => store.commitVerdict({ challengeSha256: 'c1', verdict: large }),
    () => store.recordRefusal(large),
  ];
  for (const write of writes) await expect(write()).rejects.toMatchObject({ code: 'storage-full' });
  expect(await store.findChallenge('c1')).toMatchObject({ consumed: false });
  await sql.raw('pragma max_page_count = 1000000').execute(database);
  expect(await store.commitVerdict({ challengeSha256: 'c1', verdict: large })).toBe('committed');
});

test('an attestation key is replaced when that was allowed, once, and is retired for ever', async () => {
  const { counters } = node();
  const replacing = {
    challengeSha256: 'c9',
    enrolmentId: 'e9',
    node: node({ akName: 'ak2' }),
    akNameBefore: 'ak1',
    ...(counters && { countersBefore: counters }),
  };
  await enrol();
  expect(await enrol(replacing), 'nobody allowed it').toBe('conflict');
  await store.markNode({ nodeId: 'n1', mark: 'allow-new-ak', atSeconds: 1 });
  expect(await enrol({ ...replacing, challengeSha256: 'c10', enrolmentId: 'e10' })).toBe('committed');
  expect(await store.findNode('n1')).toMatchObject({ akName: 'ak2', akMayChange: false });
  expect(await store.findNodeByAk('ak1')).toBeUndefined();
  expect(await store.findNodeByRetiredAk('ak1')).toMatchObject({ id: 'n1' });
  const stranger = {
    node: node({ id: 'n2', akName: 'ak1' }),
    endorsementKeys: [{ ...key, fingerprint: 'ek2' }],
  };
  expect(await enrol({ ...stranger, challengeSha256: 'c11', enrolmentId: 'e11' })).toBe('conflict');
  expect(await store.findNode('n2')).toBeUndefined();
});

test('an attestation key of another node is a conflict, not a fault of the database', async () => {
  await enrol();
  const second = {
    node: node({ id: 'n2', akName: 'ak2' }),
    endorsementKeys: [{ ...key, fingerprint: 'ek2' }],
  };
  expect(await enrol({ ...second, challengeSha256: 'c9', enrolmentId: 'e9' })).toBe('committed');
  await store.markNode({ nodeId: 'n1', mark: 'allow-new-ak', atSeconds: 1 });
  const { counters } = node();
  const taking = {
    node: node({ akName: 'ak2' }),
    akNameBefore: 'ak1',
    ...(counters && { countersBefore: counters }),
  };
  expect(await enrol({ ...taking, challengeSha256: 'c10', enrolmentId: 'e10' })).toBe('conflict');
  expect(await store.findNode('n1')).toMatchObject({ akName: 'ak1', akMayChange: true });
});

test('while a rotation is due the old key binds nothing', async () => {
  await enrol();
  await store.markNode({ nodeId: 'n1', mark: 'rotate-ak', atSeconds: 1 });
  expect(await store.findNode('n1')).toMatchObject({
    akGeneration: 2,
    akMayChange: true,
    akRotationDue: true,
  });
  const { counters } = node();
  const again = { challengeSha256: 'c9', enrolmentId: 'e9', ...(counters && { countersBefore: counters }) };
  expect(await enrol(again)).toBe('conflict');
});

test('a token that cannot be spent takes everything back', async () => {
  expect(await enrol({ tokenSha256: 'no such token' })).toBe('token-spent');
  expect(await store.findNode('n1')).toBeUndefined();
  expect(await store.findChallenge('c0')).toMatchObject({ consumed: false });
});

const FLOOR = {
  channelHash: '11'.repeat(16),
  root: 1,
  targets: 2,
  snapshot: Number.MAX_SAFE_INTEGER,
  channel: 4,
  signedAtSeconds: 0,
};

test('P8 a floor that was shown is kept with the verdict, in one transaction', async () => {
  await enrol();
  expect(await store.findNode('n1')).toMatchObject({ floorExpected: false });
  for (const sha256 of ['c1', 'c2', 'c3']) await store.saveChallenge(challenge({ sha256 }));
  await store.commitVerdict({ challengeSha256: 'c1', verdict: verdict(), floor: 'expected' });
  const expected = await store.findNode('n1');
  expect(expected).toMatchObject({ floorExpected: true });
  expect(expected?.floor).toBeUndefined();
  const moved = { channel: 'another', romAsserted: false };
  const shown = { shown: FLOOR };
  expect(
    await store.commitVerdict({ challengeSha256: 'c2', verdict: verdict(), floor: shown, basis: moved }),
  ).toBe('basis-moved');
  expect((await store.findNode('n1'))?.floor).toBeUndefined();
  await store.commitVerdict({ challengeSha256: 'c2', verdict: verdict(), floor: shown });
  expect(await store.findNode('n1')).toMatchObject({ floorExpected: true, floor: FLOOR });
  await store.commitVerdict({ challengeSha256: 'c3', verdict: verdict(), floor: 'expected' });
  expect(await store.findNode('n1')).toMatchObject({ floor: FLOOR });
});

test('P8 hand-overs without the floor that was expected are counted until it is shown, or reset', async () => {
  await enrol();
  const missed = async () => (await store.findNode('n1'))?.floorMissed;
  const handOver = (id: string) => store.closeGrant({ id, nodeId: 'n1', atSeconds: 7 });
  async function boot(id: string, floor?: KnownFloor): Promise<void> {
    await store.saveChallenge(challenge({ sha256: id }));
    const known = floor && { floor };
    await store.commitVerdict({ challengeSha256: id, verdict: verdict(), grant: grant(id), ...known });
  }
  await boot('c1');
  await handOver('c1');
  expect(await missed()).toBeUndefined();
  await boot('c2', 'expected');
  await boot('c3', 'expected');
  expect(await missed(), 'boots that got no release').toBeUndefined();
  await handOver('c3');
  await handOver('c3');
  expect(await missed(), 'a grant is closed once').toBe(1);
  await boot('c4', 'expected');
  await handOver('c4');
  expect(await missed()).toBe(2);
  await boot('c5', { shown: FLOOR });
  await handOver('c5');
  expect(await missed(), 'it was shown').toBeUndefined();
  await store.markNode({ nodeId: 'n1', mark: 'reset-floor', atSeconds: 5, reason: 'TPM cleared' });
  await boot('c6', 'expected');
  await handOver('c6');
  await store.markNode({ nodeId: 'n1', mark: 'reset-floor', atSeconds: 6, reason: 'TPM cleared' });
  expect(await missed(), 'it was reset').toBeUndefined();
});

test('P8 a floor is forgotten only by an operator who says why', async () => {
  await enrol();
  await store.saveChallenge(challenge());
  await store.commitVerdict({ challengeSha256: 'c1', verdict: verdict(), floor: { shown: FLOOR } });
  const reset = { nodeId: 'n1', mark: 'reset-floor', atSeconds: 5, reason: 'new mainboard' } as const;
  expect(await store.markNode(reset)).toBe('changed');
  const node = await store.findNode('n1');
  expect(node).toMatchObject({ floorExpected: false });
  expect(node?.floor).toBeUndefined();
  const events = await database.selectFrom('audit_events').selectAll().execute();
  expect(events.at(-1)).toMatchObject({
    kind: 'node-floor-reset',
    subject: 'n1',
    detail: '{"reason":"new mainboard"}',
  });
});

test('P8 a reset floor waits for a boot: evidence of what runs neither ends the reset nor pins a floor', async () => {
  await enrol();
  for (const sha256 of ['c1', 'c2', 'c3']) await store.saveChallenge(challenge({ sha256 }));
  const commit = (challengeSha256: string, purpose: Purpose) =>
    store.commitVerdict({ challengeSha256, verdict: { ...verdict(), purpose }, floor: { shown: FLOOR } });
  await store.markNode({ nodeId: 'n1', mark: 'reset-floor', atSeconds: 5, reason: 'TPM cleared' });
  for (const [sha256, purpose] of [['c1', 'health'] as const, ['c2', 'reattest'] as const]) {
    expect(await commit(sha256, purpose)).toBe('committed');
    const node = await store.findNode('n1');
    expect(node, purpose).toMatchObject({ floorReset: true, floorExpected: false });
    expect(node?.floor, purpose).toBeUndefined();
  }
  await commit('c3', 'boot');
  expect(await store.findNode('n1')).toMatchObject({ floor: FLOOR, floorExpected: true });
  expect(await store.findNode('n1')).not.toHaveProperty('floorReset');
});

test('R4 a server that was set back is an event, once a day for each node', async () => {
  await enrol();
  const day = 24 * 3600;
  const times = [1000, 1001, 1000 + day - 1, 1000 + day];
  for (const atSeconds of times) {
    const sha256 = `c-${atSeconds}`;
    await store.saveChallenge(challenge({ sha256, expiresAtSeconds: atSeconds + 10 }));
    const reasons = [{ code: 'floor-ahead', message: 'the node has seen more' }];
    const held = { ...verdict(), verdict: 'hold' as const, reasons, atSeconds };
    await store.commitVerdict({ challengeSha256: sha256, verdict: held });
  }
  const events = await database
    .selectFrom('audit_events')
    .selectAll()
    .where('kind', '=', 'floor-ahead')
    .execute();
  expect(events.map(({ at }) => at)).toEqual([1000, 1000 + day]);
});
