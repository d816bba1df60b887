import { existsSync } from 'node:fs';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;

beforeEach(async () => {
  world = await PublishedServer.publish();
});

afterEach(() => world.close());

const data = (name: string): string => join(world.config.dataDir, name);
const readiness = async () => (await world.stranger()).call('/readyz');
const servedTimestamp = async () => (await world.stranger()).call('/v1/tuf/timestamp.json');
const floor = async () => JSON.parse(await readFile(data('served-floor.json'), 'utf8'));
const eventKinds = async (): Promise<string[]> =>
  (await world.operators('/admin/v1/events')).json.events.map(({ kind }: { kind: string }) => kind);

/** Everything of the database as it was, as somebody with the disk or an old backup can put it there. */
async function setDatabaseBack(newer: () => Promise<unknown>): Promise<void> {
  await world.stop();
  await copyFile(data('state.db'), data('old.db'));
  await world.open();
  await newer();
  await world.stop();
  for (const file of ['state.db', 'state.db-wal', 'state.db-shm']) await rm(data(file), { force: true });
  await copyFile(data('old.db'), data('state.db'));
  await world.open();
}

const publishRelease2 = async () => {
  await world.desk.addRelease(2);
  expect((await world.publishDesk()).status).toBe(200);
};

describe('a database that is older than what was served', () => {
  test('R3 R4 serves nothing to machines, and says what to do', async () => {
    await setDatabaseBack(publishRelease2);
    const ready = await readiness();
    expect([ready.status, ready.json.faults]).toEqual([
      503,
      [
        expect.stringMatching(
          /^database-older-than-served: .*version 3, version 4 was seen.*boot-sign publish/,
        ),
      ],
    ]);
    const refused = [
      await servedTimestamp(),
      await (await world.stranger()).call('/v1/challenges', { method: 'POST', body: {} }),
      await (await world.firmware()).call('/boot/x86-64.efi'),
    ];
    for (const { status, json } of refused)
      expect([status, json.code]).toEqual([503, 'database-older-than-served']);
    expect((await (await world.stranger()).call('/healthz')).status).toBe(200);
    expect((await world.operators('/admin/v1/nodes')).status).toBe(200);
    expect(await eventKinds()).toContain('database-older-than-served');
  });

  test('R1 R4 takes the current metadata again, and no older ones', async () => {
    const old = world.desk.snapshot();
    await setDatabaseBack(publishRelease2);
    const current = world.desk.snapshot();
    world.desk.restore(old);
    const refused = await world.publishDesk();
    expect([refused.status, refused.json.detail]).toEqual([
      422,
      expect.stringContaining('version 4 was seen'),
    ]);
    expect((await readiness()).status).toBe(503);
    world.desk.restore(current);
    expect((await world.publishDesk()).status).toBe(200);
    expect((await readiness()).status).toBe(200);
    expect((await servedTimestamp()).status).toBe(200);
    await world.stop();
    await world.open();
    expect((await readiness()).status).toBe(200);
  });

  test('R3 one row that was set back is enough', async () => {
    const { bytes } = await servedTimestamp();
    await publishRelease2();
    await world.stop();
    world.database((database) =>
      database.prepare(`update metadata_files set bytes = ? where name = 'timestamp.json'`).run(bytes),
    );
    await world.open();
    expect((await servedTimestamp()).json.code).toBe('database-older-than-served');
  });

  test('R3 an empty one is older than all that was served', async () => {
    await world.stop();
    for (const file of ['state.db', 'state.db-wal', 'state.db-shm']) await rm(data(file), { force: true });
    await world.open();
    expect((await readiness()).json.faults[0]).toMatch(/holds nothing that was published/);
    expect((await world.publishDesk()).status).toBe(200);
    expect((await readiness()).status).toBe(200);
  });
});

describe('the floor of what was served', () => {
  test('is on disk before anything newer is served', async () => {
    expect((await floor()).roles.timestamp).toMatchObject({ version: 3 });
    await publishRelease2();
    const { roles } = await floor();
    expect(roles).toMatchObject({
      timestamp: { version: 4 },
      'channel-demo': { version: 3 },
      root: { version: 1 },
    });
    expect(roles.timestamp.signedAtSeconds).toBeGreaterThan(0);
  });

  test('R3 is taken from the database when its file is gone, which is an event', async () => {
    await world.stop();
    await rm(data('served-floor.json'));
    await world.open();
    expect((await readiness()).status).toBe(200);
    expect(await eventKinds()).toContain('served-floor-taken');
    expect(existsSync(data('served-floor.json'))).toBe(true);
  });

  test('D10 that a crash left behind the database is raised at the start', async () => {
    const old = await readFile(data('served-floor.json'));
    await publishRelease2();
    await world.stop();
    await writeFile(data('served-floor.json'), old);
    await world.open();
    expect((await floor()).roles.timestamp.version).toBe(4);
    expect((await readiness()).status).toBe(200);
  });

  test('that is damaged keeps the server from starting, and says what to do', async () => {
    await world.stop();
    const good = await readFile(data('served-floor.json'));
    for (const bad of [
      good.subarray(0, 40),
      Buffer.from('{}'),
      Buffer.from(`${good}`.replace(': 3', ': "3"')),
    ]) {
      await writeFile(data('served-floor.json'), bad);
      await expect(world.open()).rejects.toMatchObject({ code: 'served-floor-invalid' });
    }
    await writeFile(data('served-floor.json'), good);
    await world.open();
  });
});
