import { unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import type { Answer } from '../../../src/fleet-sim/wire/https-client.ts';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;

const hashOf = (bytes: Uint8Array) => toHex(sha256(bytes));
const DAY_SECONDS = 86_400;

async function servedTimestamp(): Promise<number> {
  return (await (await world.stranger()).call('/v1/tuf/timestamp.json')).json.signed.version;
}

async function readiness(): Promise<Answer> {
  return (await world.stranger()).call('/readyz');
}

describe('before anything is published', () => {
  beforeEach(async () => {
    world = await PublishedServer.start();
  });
  afterEach(() => world.close());

  test('readyz says so, healthz answers, and nothing is served', async () => {
    const [agents, firmware] = [await world.stranger(), await world.firmware()];
    expect((await agents.call('/healthz')).json).toEqual({ status: 'ok' });
    const ready = await readiness();
    expect([ready.status, ready.json.code]).toEqual([503, 'not-ready']);
    expect(ready.json.faults).toEqual(['nothing has been published yet: run "boot-sign publish"']);
    expect((await agents.call('/v1/tuf/timestamp.json')).json.code).toBe('metadata-unknown');
    expect((await firmware.call('/boot/x86-64/stage0.efi')).json.code).toBe('not-found');
  });

  test('a repository that does not name the grant key is taken, and readyz says what is wrong', async () => {
    const desk = await world.openDesk();
    await desk.addStage0(1);
    await desk.addRelease(1);
    await world.publishDesk(desk);
    expect((await readiness()).status).toBe(200);
    await world.close();

    world = await PublishedServer.start();
    const answer = await world.publishDesk(desk);
    expect(answer.json.grantKeyNamed).toBe(false);
    expect((await readiness()).json.faults).toEqual([
      'the root metadata does not name the grant key of this server: nodes will refuse its challenges',
    ]);
  });
});

describe('a publication', () => {
  beforeEach(async () => {
    world = await PublishedServer.publish();
  });
  afterEach(() => world.close());

  /** Refused with these words, and what was served before is served still. */
  async function expectRefused(answer: Answer, words: RegExp): Promise<void> {
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
    expect(answer.json.detail).toMatch(words);
    expect(await servedTimestamp()).toBe(3);
    const image = await (await world.firmware()).call('/boot/x86-64/stage0.efi');
    expect(image.headers.etag).toBe(`"${world.stage0.listing.sha256}"`);
    expect((await readiness()).status).toBe(200);
  }

  test('is served byte by byte as it was signed', async () => {
    const agents = await world.stranger();
    for (const [name, bytes] of world.desk.filesInForce()) {
      const answer = await agents.call(`/v1/tuf/${name}`);
      expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/json']);
      expect(answer.bytes.equals(bytes), name).toBe(true);
    }
    expect((await agents.call('/v1/tuf/99.root.json')).status).toBe(404);
    for (const name of [
      '..%2f..%2fgrant.key',
      '%2e%2e%2fgrant.key',
      'state.db',
      '01.root.json',
      'timestamp.json%00',
    ])
      expect([400, 404], name).toContain((await agents.call(`/v1/tuf/${name}`)).status);
  });

  test('once more changes nothing', async () => {
    expect((await world.publishDesk()).status).toBe(200);
    expect(await servedTimestamp()).toBe(3);
  });

  test.each(['manifest', 'kernel', 'initramfs'] as const)(
    'without the %s of a release is refused',
    async (part) => {
      const release = await world.desk.addRelease(2);
      world.desk.artifacts.delete(hashOf(release[part]));
      await expectRefused(await world.publishDesk(), /upload it first/);
      world.desk.keep(release[part]);
      expect((await world.publishDesk()).status, 'its twin').toBe(200);
    },
  );

  test('without a stage-0 image is refused', async () => {
    const { listing } = await world.desk.addStage0(2);
    world.desk.artifacts.delete(listing.sha256);
    await expectRefused(await world.publishDesk(), /upload it first/);
  });

  test.each(['authenticodeSha256', 'pcr11'] as const)(
    'that lists a stage-0 under a wrong %s is refused',
    async (member) => {
      await world.desk.addStage0(2, { [member]: 'ab'.repeat(32) });
      await expectRefused(await world.publishDesk(), new RegExp(`${member} (ab){32}, its bytes give`));
    },
  );

  test('that lists something else as stage-0 is refused', async () => {
    const bytes = Buffer.from('MZ and nothing of a UKI');
    world.desk.keep(bytes);
    await world.desk.addStage0(2, { sha256: hashOf(bytes), length: bytes.length });
    await expectRefused(await world.publishDesk(), /./);
  });

  test('R11 signed later than a minute from now is refused: nodes would keep that time', async () => {
    const now = world.clock.nowMs() / 1000;
    const signedAt = (seconds: number) =>
      world.desk.reissue('timestamp', (signed) => {
        signed['x-bootward-signed-at'] = seconds;
      });
    const before = world.desk.snapshot();
    await signedAt(now + 61);
    const times = [now + 61, now].map((seconds) => new Date(seconds * 1000).toISOString()).join('.*');
    await expectRefused(await world.publishDesk(), new RegExp(`${times}: correct the clock`));
    world.desk.restore(before);
    await signedAt(now + 60);
    expect((await world.publishDesk()).status, 'its twin').toBe(200);
  });

  test('R1 of older metadata is refused', async () => {
    const old = world.desk.filesInForce();
    await world.desk.addRelease(2);
    expect((await world.publishDesk()).status).toBe(200);
    const answer = await world.postMetadata(old);
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
    expect(answer.json.detail).toMatch(/version 3, version 4 was seen/);
    expect(await servedTimestamp()).toBe(4);
  });

  test('R2 of the same version with other bytes is refused', async () => {
    await world.desk.equivocate('timestamp', (signed) => {
      signed.expires = '2099-01-01T00:00:00Z';
    });
    await expectRefused(await world.postMetadata(world.desk.filesInForce()), /seen with other bytes/);
  });

  test('by somebody else, with a root of their own, is refused', async () => {
    const foreign = await world.openDesk('foreign');
    for (let count = 0; count < 4; count += 1) await foreign.reissue('timestamp', () => undefined);
    await expectRefused(await world.publishDesk(foreign), /./);
  });

  test('R9 that leaves out a newer root is refused', async () => {
    await world.desk.reissue('root', () => undefined);
    const files = world.desk.filesInForce();
    expect((await world.postMetadata(files)).status).toBe(200);
    const without = new Map([...files].filter(([name]) => name !== '2.root.json'));
    const answer = await world.postMetadata(without);
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
    expect((await (await world.stranger()).call('/v1/tuf/2.root.json')).status).toBe(200);
  });

  test('with a signature that does not hold is refused', async () => {
    const files = new Map(world.desk.filesInForce());
    await world.desk.reissue('timestamp', () => undefined);
    const forged = world.desk.document('timestamp.json');
    forged.signatures[0].sig = '00'.repeat(64);
    files.set('timestamp.json', Buffer.from(JSON.stringify(forged)));
    await expectRefused(await world.postMetadata(files), /./);
  });

  test('S6 that has expired is refused; what is served stays, and readyz says so', async () => {
    world.clock.advance(31 * DAY_SECONDS);
    const answer = await world.postMetadata(world.desk.filesInForce());
    expect([answer.status, answer.json.code]).toEqual([422, 'metadata-refused']);
    expect(answer.json.detail).toMatch(/expired/);
    expect(await servedTimestamp()).toBe(3);
    expect((await readiness()).json.faults).toEqual(
      ['timestamp', 'snapshot'].map(
        (role) => `the metadata of role ${role} has expired: run "boot-sign refresh" and publish`,
      ),
    );
  });

  test('S9 with a key given twice in one file is refused', async () => {
    const files = new Map(world.desk.filesInForce());
    const text = Buffer.from(files.get('timestamp.json') ?? []).toString();
    files.set('timestamp.json', Buffer.from(text.replace('"signed":', '"signed":{},"signed":')));
    await expectRefused(await world.postMetadata(files), /twice/);
  });

  test('Q55 that the store cannot take changes nothing, and is taken afterwards', async () => {
    await world.desk.addRelease(2);
    world.database((database) =>
      database.exec(
        `create trigger fault before insert on audit_events begin select raise(abort, 'disk'); end`,
      ),
    );
    const answer = await world.publishDesk();
    world.database((database) => database.exec('drop trigger fault'));
    expect([answer.status, answer.json.code]).toEqual([500, 'internal']);
    expect(await servedTimestamp()).toBe(3);
    expect((await world.publishDesk()).status).toBe(200);
    expect(await servedTimestamp()).toBe(4);
  });

  test('R6 of two at once, the older never replaces the newer', async () => {
    const versions = [2, 3, 4, 5, 6];
    for (const version of versions) await world.desk.addRelease(version);
    const older = world.desk.filesInForce();
    // The newer one has fewer artifacts to look at, so that it would be done first.
    for (const version of versions)
      await world.desk.withdraw('channel-demo', `channels/demo/${version}.json`);
    const newer = world.desk.filesInForce();
    for (const [hash, bytes] of world.desk.artifacts) await world.putArtifact(hash, bytes);
    const answers = await Promise.all([older, newer, older].map((files) => world.postMetadata(files)));
    expect(answers.map(({ status }) => status).sort()).not.toContain(500);
    expect(await servedTimestamp()).toBe(13);
    await world.stop();
    await world.open();
    expect(await servedTimestamp()).toBe(13);
  });

  test('is served the same after a restart, also by an expired clock', async () => {
    const node = await world.enrolledNode();
    const before = await (await world.stranger()).call('/v1/tuf/timestamp.json');
    await world.stop();
    world.clock.advance(31 * DAY_SECONDS);
    await world.open();
    expect((await (await world.stranger()).call('/v1/tuf/timestamp.json')).bytes.equals(before.bytes)).toBe(
      true,
    );
    expect((await readiness()).json.code).toBe('not-ready');
    const again = await world.createNode({ ek: node.ek });
    again.ak = node.ak;
    expect((await again.attest()).json.release.digest).toBe(world.release.listing.sha256);
  });

  test('R3 P11 a build withdrawn before a restart is withdrawn after it', async () => {
    const node = await world.enrolledNode();
    await world.desk.addStage0(2);
    await world.desk.withdraw('stage0', world.stage0.listing.target);
    expect((await world.publishDesk()).status).toBe(200);
    await world.stop();
    await world.open();
    const again = await world.createNode({ ek: node.ek });
    again.ak = node.ak;
    expect((await again.attest()).json.reasons[0].code).toBe('stage0-withdrawn');
  });

  test('D2 that withdraws a release ends what its grants open', async () => {
    const node = await world.enrolledNode();
    const grant = await node.grant();
    await world.desk.addRelease(2);
    await world.desk.withdraw('channel-demo', world.release.listing.target);
    expect((await world.publishDesk()).status).toBe(200);
    const answer = await node.fetch(hashOf(world.release.kernel), grant);
    expect([answer.status, answer.json.code]).toEqual([403, 'artifact-not-granted']);
    expect((await node.attest()).json.release.version).toBe(2);
  });

  test('D11 in the middle of a boot leaves that boot with the one release that it was granted', async () => {
    const node = await world.enrolledNode();
    const grant = await node.grant();
    expect((await node.fetch(hashOf(world.release.manifest), grant)).status).toBe(200);
    const next = await world.desk.addRelease(2);
    await world.publishDesk();
    const kernel = await node.fetch(hashOf(world.release.kernel), grant);
    expect(kernel.bytes.equals(world.release.kernel)).toBe(true);
    expect((await node.fetch(hashOf(next.kernel), grant)).json.code).toBe('artifact-not-granted');
  });

  test('that withdraws the only release leaves the channel without one', async () => {
    const node = await world.enrolledNode();
    const evidence = await node.evidence(await node.challenge(), 'boot');
    await world.desk.withdraw('channel-demo', world.release.listing.target);
    await world.publishDesk();
    const asked = await node.askChallenge();
    expect([asked.status, asked.json.code]).toEqual([409, 'no-release']);
    const answer = await node.submit(evidence);
    expect([answer.status, answer.json.code]).toEqual([409, 'no-release']);
  });

  test('gives the highest listed version', async () => {
    const node = await world.enrolledNode();
    for (const version of [10, 9]) await world.desk.addRelease(version);
    await world.publishDesk();
    expect((await node.attest()).json.release.version).toBe(10);
  });

  test('D22 a new build changes the tag of stage0.efi: no client is told that its old copy is current', async () => {
    const firmware = await world.firmware();
    const path = '/boot/x86-64/stage0.efi';
    const first = await firmware.call(path);
    expect(first.bytes.equals(world.stage0.image)).toBe(true);
    const conditional = { 'if-none-match': String(first.headers.etag) };
    expect((await firmware.call(path, { headers: conditional })).status).toBe(304);

    const build2 = await world.desk.addStage0(2);
    await world.publishDesk();
    const second = await firmware.call(path, { headers: conditional });
    expect([second.status, second.headers.etag]).toEqual([200, `"${build2.listing.sha256}"`]);
    expect(second.bytes.equals(build2.image)).toBe(true);
    expect(second.headers['cache-control']).toBe('no-cache');
    const resumed = { range: 'bytes=1000-', 'if-match': String(first.headers.etag) };
    expect((await firmware.call(path, { headers: resumed })).status).toBe(412);
    const ranged = { range: 'bytes=1000-', 'if-range': String(first.headers.etag) };
    const whole = await firmware.call(path, { headers: ranged });
    expect([whole.status, whole.bytes.length]).toEqual([200, build2.image.length]);
  });

  test('D24 an artifact that was altered on disk is not served', async () => {
    const node = await world.enrolledNode();
    const grant = await node.grant();
    const hash = hashOf(world.release.kernel);
    const altered = Buffer.from(world.release.kernel);
    altered.writeUInt8(altered.readUInt8(500) ^ 1, 500);
    await writeFile(join(world.config.dataDir, 'artifacts', hash.slice(0, 2), hash), altered);
    const answer = await node.fetch(hash, grant);
    expect([answer.status, answer.json.code]).toEqual([500, 'artifact-damaged']);
    await world.putArtifact(hash, world.release.kernel);
    expect((await node.fetch(hash, grant)).status, 'uploading it again repairs it').toBe(200);
  });

  test.each(['altered', 'gone'])(
    'D24 a manifest that is %s does not keep the server from starting',
    async (how) => {
      const node = await world.enrolledNode();
      await world.stop();
      const { sha256: hash } = world.release.listing;
      const file = join(world.config.dataDir, 'artifacts', hash.slice(0, 2), hash);
      if (how === 'gone') await unlink(file);
      else await writeFile(file, Buffer.from(world.release.manifest).fill(0x20));
      await world.open();
      const ready = await readiness();
      expect([ready.status, ready.json.code]).toEqual([503, 'not-ready']);
      expect(ready.json.detail).toContain('channel demo offers nothing, publish again');

      const again = await world.createNode({ ek: node.ek });
      again.ak = node.ak;
      expect((await again.askChallenge()).json.code).toBe('no-release');
      const stored = await world.operators(`/admin/v1/artifacts/${hash}`, { method: 'HEAD' });
      expect(stored.status, 'boot-sign hears that it must be sent again').toBe(404);
      expect((await world.publishDesk()).status, 'publishing again repairs it').toBe(200);
      expect((await world.operators(`/admin/v1/artifacts/${hash}`, { method: 'HEAD' })).status).toBe(200);
      expect((await readiness()).status).toBe(200);
      expect((await again.attest()).status).toBe(200);
    },
  );
});

describe('a server whose trust is pinned', () => {
  test('takes the first publication from that root only', async () => {
    const source = await PublishedServer.publish();
    const folder = source.folder;
    await writeFile(join(folder, 'root.json'), source.desk.snapshot().get('1.root.json') ?? '');
    world = await PublishedServer.start([`trust: { rootFile: ${join(folder, 'root.json')} }`]);
    const foreign = await world.openDesk('foreign');
    expect((await world.publishDesk(foreign)).json.code).toBe('metadata-refused');
    expect((await (await world.stranger()).call('/v1/tuf/1.root.json')).status).toBe(404);
    expect((await world.publishDesk(source.desk)).status).toBe(200);
    await source.close();
    await world.close();
  });
});
