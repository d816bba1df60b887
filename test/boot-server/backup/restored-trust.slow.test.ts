import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createBackup } from '../../../src/boot-server/backup/create-backup.ts';
import { type RestoreInput, restoreBackup } from '../../../src/boot-server/backup/restore-backup.ts';
import { type Flippable, signDocument, testSigner } from '../../signing/tuf/tuf-fixture.ts';
import { PublishedServer } from '../api/published-server.ts';

const NEW_KEY = testSigner('timestamp key after the theft');
const ROOT = [testSigner('ours root')];

let world: PublishedServer;
let file: string;

beforeEach(async () => {
  world = await PublishedServer.publish();
  file = join(world.folder, 'backup');
});
afterEach(() => world.close());

const backup = () => createBackup({ dataDir: world.config.dataDir, file, artifacts: false });
const restore = (more: Partial<RestoreInput> = {}) =>
  restoreBackup({
    file,
    dataDir: world.config.dataDir,
    passphrase: async () => '',
    publishLater: false,
    nowMs: world.clock.nowMs(),
    ...more,
  });
const floorFile = () => join(world.config.dataDir, 'served-floor.json');

async function publishRelease(version: number): Promise<void> {
  await world.desk.addRelease(version);
  expect((await world.publishDesk()).status).toBe(200);
}

/** The next root: another timestamp key in the place of the stolen one. */
async function nextRoot(expiresEarlierMs = 0): Promise<Uint8Array> {
  const { signed } = world.desk.document('1.root.json') as { signed: Flippable };
  const stolen = signed.roles.timestamp.keyids[0] as string;
  delete signed.keys[stolen];
  signed.keys[NEW_KEY.keyId] = NEW_KEY.key;
  signed.roles.timestamp.keyids = [NEW_KEY.keyId];
  const expires = new Date(Date.parse(signed.expires) - expiresEarlierMs).toISOString().replace('.000Z', 'Z');
  return signDocument({ ...signed, expires, version: 2 }, ROOT);
}

/** Refused, because its timestamp is still the thief's: its root is kept. */
async function keepNextRoot(root: Uint8Array): Promise<void> {
  const answer = await world.postMetadata(new Map([...world.desk.filesInForce(), ['2.root.json', root]]));
  expect(answer.json.detail).toMatch(/root version 2 is good/);
}

test('S7 a root that was kept since the backup stays trusted', async () => {
  await backup();
  await keepNextRoot(await nextRoot());
  await world.stop();
  expect(await restore()).toMatchObject({ keptRoots: ['2.root.json'] });
  await world.open();
  await world.desk.addRelease(2);
  const thief = await world.publishDesk();
  expect([thief.status, thief.json.detail]).toEqual([422, expect.stringContaining('version 2 was seen')]);
});

test('S7 a root that was kept before the backup stays trusted, and another of its version is refused', async () => {
  await backup();
  await keepNextRoot(await nextRoot());
  const other = join(world.folder, 'other');
  await createBackup({ dataDir: world.config.dataDir, file: other, artifacts: false });
  await world.stop();
  await restore();
  world.database((database) => database.exec('delete from kept_roots'));
  await world.open();
  await keepNextRoot(await nextRoot(1000));
  await world.stop();
  await expect(restore({ file: other })).rejects.toMatchObject({
    code: 'floors-contradict',
    message: expect.stringMatching(
      /the backup trusts root version 2 .*, the database of the folder one with/,
    ),
  });
  expect((await restore()).keptRoots).toEqual(['2.root.json']);
  await world.open();
});

test('S7 a kept root counts also when the backup holds nothing that was published', async () => {
  await keepNextRoot(await nextRoot());
  const empty = join(world.folder, 'empty');
  await backup();
  await restore({ dataDir: empty });
  await world.stop();
  world.database((database) => database.exec('delete from metadata_files; delete from kept_roots'));
  await createBackup({ dataDir: world.config.dataDir, file: `${file}-empty`, artifacts: false });
  await restore({ dataDir: empty, file: `${file}-empty`, publishLater: true });
  const floor = JSON.parse(await readFile(join(empty, 'served-floor.json'), 'utf8'));
  expect(floor.roles).toEqual({ root: expect.objectContaining({ version: 2 }) });
  await world.open();
});

test('S7 the floor of a newer root is above one with a higher timestamp of an older root', async () => {
  await backup();
  await publishRelease(2);
  await publishRelease(3);
  const copy = join(world.folder, 'copy.json');
  await copyFile(floorFile(), copy);
  const { signed } = world.desk.document('timestamp.json') as { signed: Flippable };
  const rotated = await signDocument({ ...signed, version: signed.version - 2 }, [NEW_KEY]);
  const files = new Map(world.desk.filesInForce());
  files.set('2.root.json', await nextRoot()).set('timestamp.json', rotated);
  expect((await world.postMetadata(files)).status).toBe(200);
  await world.stop();
  await restore({ servedFloor: copy, publishLater: true });
  expect(JSON.parse(await readFile(floorFile(), 'utf8')).roles.root.version).toBe(2);
  await world.open();
  await world.desk.addRelease(4);
  const thief = await world.publishDesk();
  expect([thief.status, thief.json.detail]).toEqual([422, expect.stringContaining('version 2 was seen')]);
  expect((await world.postMetadata(files)).status).toBe(200);
});

test('R4 two floors of which neither is above the other are named, and nothing is restored', async () => {
  await backup();
  await publishRelease(2);
  await publishRelease(3);
  const document = JSON.parse(await readFile(floorFile(), 'utf8'));
  document.roles.timestamp.version += 1;
  document.roles.snapshot.version -= 1;
  const other = join(world.folder, 'other.json');
  await writeFile(other, JSON.stringify(document));
  await world.stop();
  const before = await readFile(floorFile());
  const refused = expect(restore({ servedFloor: other, publishLater: true })).rejects;
  await refused.toMatchObject({
    code: 'floors-contradict',
    message: expect.stringMatching(/other\.json and .*served-floor\.json contradict each other: snapshot/),
  });
  expect(await readFile(floorFile())).toEqual(before);
  await world.open();
});
