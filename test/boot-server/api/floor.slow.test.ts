import { cpSync, rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { computeExtraData } from '../../../src/attestation/evidence/extra-data.ts';
import { type FloorApprovals, signFloorApprovals } from '../../../src/attestation/floor/floor-approval.ts';
import { floorIndexPublic } from '../../../src/attestation/floor/floor-index.ts';
import { floorKeyNameOf, parseFloorKey } from '../../../src/attestation/floor/floor-key.ts';
import {
  channelHashOf,
  encodeFloorRecord,
  type FloorRecord,
  type FloorVersions,
} from '../../../src/attestation/floor/floor-record.ts';
import { createStage0ImageRecord } from '../../../src/boot-server/services/stage0-image.ts';
import { asciiBytes, fromBase64, fromHex, sha256, toBase64 } from '../../../src/core/bytes.ts';
import { buildNvCertify } from '../../../src/fleet-sim/chip/software-ak.ts';
import type { EvidenceChanges, VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import type { Answer } from '../../../src/fleet-sim/wire/https-client.ts';
import { computeName } from '../../../src/tpm/name.ts';
import { parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';
import { createFloorKey } from '../../attestation/floor/floor-fixture.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';
import { CHANNEL, OTHER_CHANNEL } from './release-desk.ts';

const KEY = createFloorKey();

let world: PublishedServer;
let node: VirtualNode;
let approvals: FloorApprovals;

function measured() {
  const { pcr4SecureBoot, pcr4NoSecureBoot, pcr11 } = createStage0ImageRecord(
    world.stage0.listing,
    world.stage0.image,
  );
  return {
    pcr4SecureBoot: fromHex(pcr4SecureBoot),
    ...(pcr4NoSecureBoot !== undefined && { pcr4NoSecureBoot: fromHex(pcr4NoSecureBoot) }),
    pcr11: fromHex(pcr11),
  };
}

/** Lists the stage-0 that runs once more, with a floor key. */
async function listFloor(floorApprovals: FloorApprovals, floorKey = KEY.floorKey): Promise<Answer> {
  await world.desk.reissue('stage0', ({ targets }) => {
    Object.assign(targets[world.stage0.listing.target].custom, { floorKey, floorApprovals });
  });
  return world.publishDesk();
}

async function listWithoutFloor(): Promise<void> {
  await world.desk.reissue('stage0', ({ targets }) => {
    const { custom } = targets[world.stage0.listing.target];
    delete custom.floorKey;
    delete custom.floorApprovals;
  });
  const answer = await world.publishDesk();
  if (answer.status !== 200) throw new Error(`not published: ${answer.bytes}`);
}

/** In force at this moment, as a node sees it. */
function published(): FloorVersions {
  const names = [...world.desk.filesInForce().keys()];
  const versionOf = (role: string) =>
    Math.max(...names.map((name) => Number(new RegExp(`^(\\d+)\\.${role}\\.json$`).exec(name)?.[1] ?? 0)));
  const [root = 0, targets = 0, snapshot = 0, channel = 0] = [
    'root',
    'targets',
    'snapshot',
    `channel-${CHANNEL}`,
  ].map(versionOf);
  return { root, targets, snapshot, channel };
}

const recordNow = (changes: Partial<FloorRecord> = {}): FloorRecord => ({
  ...published(),
  channelHash: channelHashOf(CHANNEL),
  signedAtSeconds: 0,
  ...changes,
});

interface Shown {
  record: FloorRecord;
  form: 'unlocked' | 'locked';
}

/** Evidence as a node with a floor sends it: the record certified for the same challenge, by the same AK. */
async function send(
  purpose: 'boot' | 'health',
  shown: Shown | undefined,
  changes: EvidenceChanges = {},
): Promise<Answer> {
  const { json } = await node.askChallenge(node.akName, purpose);
  const evidence = await node.evidence(json.challenge, purpose, changes);
  if (shown === undefined) return node.submit(evidence);
  const extraData = computeExtraData({
    challenge: asciiBytes(json.challenge),
    claims: fromBase64(evidence.claims),
  });
  const area = floorIndexPublic(floorKeyNameOf(parseFloorKey(KEY.floorKey)), shown.form);
  const contents = encodeFloorRecord(shown.record);
  const attest = buildNvCertify({
    extraData,
    indexName: computeName(parseTpmsNvPublic(area)),
    contents,
    changes: { clockInfo: { ...node.clockInfo } },
  });
  const floor = {
    attest: toBase64(attest),
    signature: toBase64(node.ak.sign(attest)),
    contents: toBase64(contents),
  };
  return node.submit({ ...evidence, floor });
}

const boot = (record?: FloorRecord) => send('boot', record && { record, form: 'unlocked' });

async function health(record?: FloorRecord, changes: EvidenceChanges = {}): Promise<Answer> {
  const digest = await runningDigest();
  const pcrs = (values: Map<number, Uint8Array>) => {
    values.set(14, sha256(new Uint8Array(32), fromHex(digest)));
  };
  return send('health', record && { record, form: 'locked' }, { ...changes, pcrs });
}

async function runningDigest(): Promise<string> {
  return (await nodeShown()).session.releaseDigest;
}

const nodeShown = async () => (await world.operators(`/admin/v1/nodes/${node.id}`)).json;

async function eventsOf(kind: string): Promise<{ subject: string; detail: Record<string, string> }[]> {
  const { json } = await world.operators('/admin/v1/events?limit=1000');
  return json.events.filter((event: { kind: string }) => event.kind === kind);
}

beforeEach(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
  approvals = await signFloorApprovals(measured(), KEY.sign);
  const answer = await listFloor(approvals);
  if (answer.status !== 200) throw new Error(`not published: ${answer.bytes}`);
});
afterEach(() => world.close());

describe('a listing with a floor key', () => {
  test('gives a boot the approval of its image and Secure Boot state', async () => {
    const answer = await boot();
    expect([answer.status, answer.json.floor]).toEqual([200, { approval: approvals.secureBoot }]);
    expect((await nodeShown()).floor).toEqual({ shown: false });
  });

  test('gives nothing but a boot an approval', async () => {
    await boot();
    expect((await health(recordNow())).json).not.toHaveProperty('floor');
  });

  test.each<[string, () => Promise<FloorApprovals> | FloorApprovals]>([
    ['by another key', () => signFloorApprovals(measured(), createFloorKey().sign)],
    ['of another image', () => signFloorApprovals({ ...measured(), pcr11: new Uint8Array(32) }, KEY.sign)],
    [
      'that are swapped',
      () => ({ secureBoot: approvals.noSecureBoot ?? '', noSecureBoot: approvals.secureBoot }),
    ],
    ['without that for Secure Boot off', () => ({ secureBoot: approvals.secureBoot })],
  ])('P8 is refused with approvals %s', async (_name, wrong) => {
    const answer = await listFloor(await wrong());
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
    expect(answer.json.detail).toMatch(/^stage0\/x86-64-1\.efi: .*floor approval for Secure Boot o/);
    expect((await boot()).json.floor).toEqual({ approval: approvals.secureBoot });
  });

  test('is refused with a key that is none', async () => {
    const answer = await listFloor(approvals, toBase64(new Uint8Array(91)));
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
  });
});

describe('a node that keeps a floor', () => {
  test('shows it in health evidence, and then in every boot', async () => {
    await boot();
    expect((await health(recordNow())).json.verdict).toBe('accept');
    expect((await nodeShown()).floor).toEqual({
      shown: true,
      ...published(),
      channelHash: channelHashOf(CHANNEL),
      signedAt: 0,
    });
    await node.powerCycle();
    expect((await boot(recordNow())).json.verdict).toBe('accept');
  });

  test('may boot again without a record when its first boot ended before it was written', async () => {
    await boot();
    await node.powerCycle();
    expect((await boot()).json.verdict).toBe('accept');
  });

  test('P8 is held when boot after boot shows none: three may have lost power before it was written', async () => {
    await boot();
    for (const _ of [1, 2, 3]) {
      await node.powerCycle();
      expect((await boot()).json.verdict).toBe('accept');
      expect((await boot()).json.verdict, 'asked again in the same power cycle').toBe('accept');
    }
    await node.powerCycle();
    const held = await boot();
    expect([held.json.code, reasonsOf(held)]).toEqual(['evidence-held', ['floor-missing']]);
    expect((await boot(recordNow())).json.verdict).toBe('accept');
  });

  test('P8 is held before it is granted anything when the stage-0 that it boots keeps none', async () => {
    await boot(recordNow());
    await listWithoutFloor();
    await world.stop();
    await world.open();
    Object.assign(node, { door: { ...node.door, port: world.ports.agents } });
    await node.powerCycle();
    const held = await boot(recordNow());
    expect([held.json.code, reasonsOf(held)]).toEqual(['evidence-held', ['floor-missing']]);
    expect(held.json.detail).toMatch(/build 1, which keeps no floor/);
  });

  test('is not suspect while it runs, when what is listed has no floor key any more', async () => {
    await boot();
    await listWithoutFloor();
    expect((await health(recordNow())).json.verdict).toBe('accept');
    expect((await nodeShown()).suspect).toBeNull();
  });

  test('P8 is held and suspect when its running system shows none after all', async () => {
    await boot();
    const answer = await health();
    expect([answer.json.code, reasonsOf(answer)]).toEqual(['evidence-held', ['floor-missing']]);
    expect((await nodeShown()).suspect.reason).toMatch(/^floor-missing: /);
  });

  test('P8 is held when the record is gone, until an operator resets it and says why', async () => {
    await boot(recordNow());
    await node.powerCycle();
    const held = await boot();
    expect([held.status, held.json.code, reasonsOf(held)]).toEqual([403, 'evidence-held', ['floor-missing']]);
    const reset = (body: object) =>
      world.operators(`/admin/v1/nodes/${node.id}/reset-floor`, { method: 'POST', body });
    expect((await reset({})).status).toBe(400);
    expect((await boot()).json.code).toBe('evidence-held');
    expect((await reset({ reason: 'TPM cleared at the workbench' })).json.floor).toBeNull();
    expect(await eventsOf('node-floor-reset')).toMatchObject([
      { subject: node.id, detail: { reason: 'TPM cleared at the workbench' } },
    ]);
    expect((await boot()).json.verdict).toBe('accept');
  });

  test('R1 is held when its record went back', async () => {
    await boot(recordNow());
    await node.powerCycle();
    const lower = recordNow({ snapshot: published().snapshot - 1 });
    expect(reasonsOf(await boot(lower))).toEqual(['floor-went-back']);
  });

  test('P13 is held when its record is of another channel', async () => {
    const answer = await boot(recordNow({ channelHash: channelHashOf(OTHER_CHANNEL) }));
    expect(reasonsOf(answer)).toEqual(['floor-other-channel']);
  });

  test('P13 is moved to another channel, and is held until its old record is gone', async () => {
    await boot(recordNow());
    const move = (body: object) =>
      world.operators(`/admin/v1/nodes/${node.id}/move`, { method: 'POST', body });
    await world.desk.addRelease(1, { channel: OTHER_CHANNEL });
    await world.publishDesk();
    expect((await move({ channel: OTHER_CHANNEL })).status).toBe(400);
    expect((await move({ channel: CHANNEL, reason: 'none' })).json.code).toBe('node-state-conflict');
    const moved = await move({ channel: OTHER_CHANNEL, reason: 'to the Pis' });
    expect([moved.json.channel, moved.json.floor]).toEqual([OTHER_CHANNEL, null]);
    expect(await eventsOf('node-moved')).toMatchObject([
      { subject: node.id, detail: { from: CHANNEL, to: OTHER_CHANNEL, reason: 'to the Pis' } },
    ]);
    expect(reasonsOf(await health(recordNow()))).toEqual(['floor-other-channel']);
    expect((await nodeShown()).suspect).toBeNull();
    await node.powerCycle();
    expect(reasonsOf(await boot(recordNow()))).toEqual(['floor-other-channel']);
    const answer = await boot();
    expect([answer.json.verdict, answer.json.release.channel]).toEqual(['accept', OTHER_CHANNEL]);
  });

  test('R3 loses nothing when its row is set back: its own record counts', async () => {
    const earlier = recordNow();
    await boot(earlier);
    await world.desk.addRelease(2);
    await world.publishDesk();
    await node.powerCycle();
    await boot(recordNow());
    world.database((database) =>
      database
        .prepare('update nodes set floor_record = ? where id = ?')
        .run(encodeFloorRecord(earlier), node.id),
    );
    await node.powerCycle();
    expect((await boot(recordNow())).json.verdict).toBe('accept');
    expect((await nodeShown()).floor).toMatchObject(published());
  });
});

describe('R4 R3 a server that was restored from an old backup', () => {
  const dataDir = () => world.config.dataDir;
  const backup = () => `${dataDir()}-backup`;

  /** Everything that the server wrote since the backup is gone. */
  async function restoreBackup(): Promise<void> {
    await world.stop();
    rmSync(dataDir(), { recursive: true });
    cpSync(backup(), dataDir(), { recursive: true });
    await world.open();
    node.close();
    Object.assign(node, { door: { ...node.door, port: world.ports.agents } });
    await node.powerCycle();
  }

  test('holds the nodes that have seen more, says so as an event, and goes on when the rest is published', async () => {
    await boot();
    await world.stop();
    cpSync(dataDir(), backup(), { recursive: true });
    await world.open();
    Object.assign(node, { door: { ...node.door, port: world.ports.agents } });
    await node.powerCycle();
    await world.desk.addRelease(2);
    await world.publishDesk();
    await boot(recordNow());

    await restoreBackup();
    const held = await boot(recordNow());
    expect(reasonsOf(held)).toEqual(['floor-ahead']);
    expect(held.json.detail).toMatch(
      /^floor: the node has seen root 1, .*channel 3, this server publishes root 1, .*channel 2$/,
    );
    expect((await eventsOf('floor-ahead')).map(({ subject }) => subject)).toEqual([node.id]);
    expect((await nodeShown()).suspect).toBeNull();

    expect((await world.publishDesk()).status).toBe(200);
    expect((await boot(recordNow())).json.verdict).toBe('accept');
  });
});

describe('what evidence may carry', () => {
  const evidenceWith = async (more: object) => {
    const { json } = await node.askChallenge();
    return node.submit({ ...(await node.evidence(json.challenge, 'boot')), ...more });
  };

  test.each<[string, object]>([
    ['a floor without its parts', { floor: {} }],
    [
      'a floor with a public area of its own',
      { floor: { attest: 'AAAA', signature: 'AAAA', contents: 'AAAA', nvPublic: 'AAAA' } },
    ],
    ['a floor that is no base64', { floor: { attest: '!!!!', signature: 'AAAA', contents: 'AAAA' } }],
    [
      'a record of more than 64 bytes',
      { floor: { attest: 'AAAA', signature: 'AAAA', contents: 'A'.repeat(92) } },
    ],
    ['a report of more than 16 KiB', { report: toBase64(new Uint8Array(16 * 1024 + 3)) }],
    ['a report that is no base64', { report: 'x' }],
  ])('is not %s', async (_name, more) => {
    const answer = await evidenceWith(more);
    expect([answer.status, answer.json.code]).toEqual([400, 'request-invalid']);
  });

  test('P7 is no certificate of another challenge, nor bytes that are none', async () => {
    const floor = { attest: 'AAAA', signature: 'AAAA', contents: toBase64(encodeFloorRecord(recordNow())) };
    expect(reasonsOf(await evidenceWith({ floor }))).toEqual(['floor-malformed']);
  });

  test('is a report that the claims name, and no other', async () => {
    expect((await send('boot', undefined, { report: 'the last line\n' })).json.verdict).toBe('accept');
    const claims = { reportSha256: '00'.repeat(32) };
    expect(reasonsOf(await send('boot', undefined, { report: 'x', claims }))).toEqual([
      'claims-report-mismatch',
    ]);
  });

  test('is a health that the running system claims', async () => {
    await boot();
    expect((await health(recordNow(), { claims: { health: 'unhealthy' } })).json.verdict).toBe('accept');
    expect(reasonsOf(await send('boot', undefined, { claims: { health: 'healthy' } }))).toEqual([
      'claims-malformed',
    ]);
  });
});
