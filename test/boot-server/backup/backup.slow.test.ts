import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createBackup } from '../../../src/boot-server/backup/create-backup.ts';
import { newEncryption } from '../../../src/boot-server/backup/encryption.ts';
import { restoreBackup } from '../../../src/boot-server/backup/restore-backup.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer, reasonsOf } from '../api/published-server.ts';

const PROGRAM = join(import.meta.dirname, '../../../bin/boot-admin.mjs');
const PASSPHRASE = 'correct horse battery';
let world: PublishedServer;
let node: VirtualNode;
let count = 0;

beforeAll(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
});

afterAll(() => world.close());

const data = (name = ''): string => join(world.config.dataDir, name);
let file: string;
let fresh: string;
beforeEach(() => {
  count += 1;
  file = join(world.folder, `backup-${count}`);
  fresh = join(world.folder, `data-${count}`);
});

const lock = () => ({ lock: { passphrase: PASSPHRASE, encryption: newEncryption(12) } });
const backup = (more: { artifacts?: boolean; lock?: ReturnType<typeof lock>['lock'] } = {}) =>
  createBackup({ dataDir: data(), file, artifacts: false, ...more });
const restore = (more: Partial<Parameters<typeof restoreBackup>[0]> = {}) =>
  restoreBackup({
    file,
    dataDir: fresh,
    passphrase: async () => PASSPHRASE,
    publishLater: false,
    nowMs: world.clock.nowMs(),
    ...more,
  });
const rows = (folder: string, sql: string) => {
  const database = new DatabaseSync(join(folder, 'state.db'));
  try {
    return database
      .prepare(sql)
      .all()
      .map((row) => ({ ...row }));
  } finally {
    database.close();
  }
};
/** The server that was opened again listens elsewhere. */
async function followServer(): Promise<void> {
  Object.assign(node.door, { port: world.ports.agents });
  await node.powerCycle();
}

const readiness = async () => (await world.stranger()).call('/readyz');

describe('a backup', () => {
  test('is made while the server runs, of what it had acknowledged', async () => {
    const report = await backup();
    expect(report.entries.map(({ path }) => path)).toEqual(['served-floor.json', 'state.db']);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    await restore();
    expect(rows(fresh, 'select id, status from nodes')).toEqual([{ id: node.id, status: 'enrolled' }]);
    expect((await readdir(fresh)).sort()).toEqual(['artifacts', 'served-floor.json', 'state.db']);
    expect((await readdir(world.folder)).filter((name) => name.startsWith('.bootward'))).toEqual([]);
  });

  test('holds private keys only when it is encrypted', async () => {
    const plain = await backup();
    expect(plain.entries.filter(({ path }) => /key|tls/.test(path))).toEqual([]);
    file += '-sealed';
    const sealed = await backup(lock());
    expect(sealed.entries.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['grant.key', 'tls/ca.key', 'tls/agents.key', 'tls/firmware.pem']),
    );
    const bytes = await readFile(file);
    expect(bytes.includes('PRIVATE KEY')).toBe(false);
    await restore();
    expect(await readFile(join(fresh, 'grant.key'))).toEqual(await readFile(data('grant.key')));
    expect((await stat(join(fresh, 'grant.key'))).mode & 0o777).toBe(0o600);
  });

  test('never takes the place of another file', async () => {
    await writeFile(file, 'mine');
    await expect(backup()).rejects.toMatchObject({ code: 'backup-exists' });
    expect(await readFile(file, 'utf8')).toBe('mine');
  });

  test('with artifacts is a whole server: a new folder boots a node', async () => {
    const report = await backup({ artifacts: true, ...lock() });
    expect(report.entries.filter(({ path }) => path.startsWith('artifacts/')).length).toBeGreaterThan(3);
    await world.stop();
    await cp(data(), join(world.folder, 'aside'), { recursive: true });
    await rm(data(), { recursive: true });
    await restore({ dataDir: data() });
    await world.open();
    expect((await readiness()).status).toBe(200);
    const again = await world.createNode();
    await world.list(again);
    expect((await again.enrol()).json.state).toBe('enrolled');
    expect((await again.attest()).status).toBe(200);
  });

  test('is refused while a restore waits to be finished: the folder no longer counts', async () => {
    await mkdir(data('restore-pending'));
    await expect(backup()).rejects.toMatchObject({
      code: 'restore-pending',
      message: expect.stringContaining(data('restore-pending')),
    });
    expect(existsSync(file)).toBe(false);
    await rm(data('restore-pending'), { recursive: true });
  });

  test('of a folder that is none says so', async () => {
    await expect(createBackup({ dataDir: fresh, file, artifacts: false })).rejects.toMatchObject({
      code: 'data-dir-missing',
    });
  });
});

describe('a restore', () => {
  test('is refused while a server has the database open, and changes nothing', async () => {
    await backup();
    await expect(restore({ dataDir: data() })).rejects.toMatchObject({ code: 'server-running' });
    expect((await readiness()).status).toBe(200);
  });

  test('R4 revives nothing that works once: challenges, grants, enrolments, tokens', async () => {
    await followServer();
    expect((await node.attest()).status).toBe(200);
    const challenge = await node.challenge();
    await world.operators('/admin/v1/tokens', {
      method: 'POST',
      body: { channel: 'demo', validSeconds: 3600, comment: 'x' },
    });
    world.database((database) => database.exec('update nodes set ak_may_change = 1'));
    await backup();
    const { voided } = await restore();
    expect(voided).toMatchObject({ tokens: 1, keyChanges: expect.any(Number) });
    expect(voided.grants).toBeGreaterThan(0);
    expect(voided.challenges).toBeGreaterThan(0);
    expect(rows(fresh, 'select count(*) as n from challenges')).toEqual([{ n: 0 }]);
    expect(rows(fresh, 'select count(*) as n from grants where closed_at is null')).toEqual([{ n: 0 }]);
    expect(rows(fresh, 'select count(*) as n from enrolment_tokens where used_by is null')).toEqual([
      { n: 0 },
    ]);
    expect(rows(fresh, 'select count(*) as n from nodes where ak_may_change = 1')).toEqual([{ n: 0 }]);
    expect(rows(fresh, `select kind from audit_events order by id desc limit 1`)).toEqual([
      { kind: 'database-restored' },
    ]);
    await world.stop();
    await restore({ dataDir: data() });
    await world.open();
    await followServer();
    const answer = await node.submit(await node.evidence(challenge, 'boot'));
    expect([answer.status, reasonsOf(answer)]).toEqual([403, ['challenge-unknown']]);
    world.database((database) => database.exec('update nodes set ak_may_change = 0'));
  });

  test('R4 does not go behind what the folder has served, unless it is to be published again', async () => {
    await backup();
    await world.desk.addRelease(2);
    expect((await world.publishDesk()).status).toBe(200);
    await world.stop();
    const before = rows(data(), 'select name, hex(bytes) from metadata_files order by name');
    await expect(restore({ dataDir: data() })).rejects.toMatchObject({
      code: 'backup-older-than-served',
      message: expect.stringMatching(/version \d+ was seen.*--publish-later/),
    });
    expect(rows(data(), 'select name, hex(bytes) from metadata_files order by name')).toEqual(before);
    const report = await restore({ dataDir: data(), publishLater: true });
    expect(report.olderThanServed).toMatch(/was seen/);
    await world.open();
    expect((await readiness()).json.faults[0]).toMatch(/^database-older-than-served/);
    expect((await world.publishDesk()).status).toBe(200);
    expect((await readiness()).status).toBe(200);
  });

  test('R4 does not go behind what the old database has published, though its floor is gone', async () => {
    await backup();
    await world.desk.addRelease(5);
    expect((await world.publishDesk()).status).toBe(200);
    await world.stop();
    await rm(data('served-floor.json'));
    await expect(restore({ dataDir: data() })).rejects.toMatchObject({ code: 'backup-older-than-served' });
    await world.open();
    expect((await readiness()).status).toBe(200);
  });

  test('keeps the key of the CA that was elsewhere when the backup was made', async () => {
    await world.stop();
    const key = await readFile(data('tls/ca.key'));
    await rm(data('tls/ca.key'));
    await backup(lock());
    await writeFile(data('tls/ca.key'), key, { mode: 0o600 });
    await restore({ dataDir: data() });
    expect(await readFile(data('tls/ca.key'))).toEqual(key);
    await world.open();
  });

  test('R4 does not go behind a floor that was kept elsewhere', async () => {
    await backup();
    await world.desk.addRelease(3);
    expect((await world.publishDesk()).status).toBe(200);
    const kept = join(world.folder, 'kept.json');
    await copyFile(data('served-floor.json'), kept);
    await expect(restore({ servedFloor: kept })).rejects.toMatchObject({ code: 'backup-older-than-served' });
    expect(existsSync(join(fresh, 'state.db'))).toBe(false);
    await restore();
    expect(existsSync(join(fresh, 'state.db'))).toBe(true);
  });

  test('replaces a database that is none any more, and what SQLite kept beside it', async () => {
    await backup();
    await mkdir(fresh, { recursive: true });
    await writeFile(
      join(fresh, 'state.db'),
      'no database at all, for longer than a hundred bytes: '.repeat(9),
    );
    await writeFile(join(fresh, 'state.db-wal'), 'of another time');
    await restore();
    expect(existsSync(join(fresh, 'state.db-wal'))).toBe(false);
    expect(rows(fresh, 'pragma integrity_check')).toEqual([{ integrity_check: 'ok' }]);
  });

  test('keeps the keys of the folder when the backup has none', async () => {
    await backup();
    await mkdir(fresh, { recursive: true });
    await writeFile(join(fresh, 'grant.key'), 'of this folder', { mode: 0o600 });
    await restore();
    expect(await readFile(join(fresh, 'grant.key'), 'utf8')).toBe('of this folder');
  });

  test('of a damaged backup leaves nothing behind', async () => {
    await backup();
    const bytes = await readFile(file);
    for (const damagedBytes of [bytes.subarray(0, -5), bytes.subarray(0, bytes.length / 2)]) {
      await writeFile(file, damagedBytes);
      await expect(restore()).rejects.toMatchObject({ code: 'backup-damaged' });
      expect((await readdir(fresh)).filter((name) => name !== 'artifacts')).toEqual([]);
    }
  });
});

describe('boot-admin', () => {
  const admin = (...args: string[]): Promise<{ status: unknown; stdout: string; stderr: string }> =>
    new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, ...args], (error, stdout, stderr) =>
        resolve({ status: error?.code ?? 0, stdout, stderr }),
      );
    });

  test('backs up and restores, and says what it did', async () => {
    await writeFile(join(world.folder, 'passphrase'), `${PASSPHRASE}\n`);
    const sealed = ['--passphrase-file', join(world.folder, 'passphrase')];
    const made = await admin('backup', file, '--data-dir', data(), ...sealed);
    expect(made).toMatchObject({ status: 0, stdout: expect.stringContaining('read back and good') });
    const restored = await admin('restore', file, '--data-dir', fresh, ...sealed, '-o', 'json');
    expect(restored.status).toBe(0);
    expect(JSON.parse(restored.stdout)).toMatchObject({ voided: expect.any(Object) });
    const running = await admin('restore', file, '--data-dir', data(), ...sealed);
    expect(running).toMatchObject({ status: 1, stderr: expect.stringContaining('server-running') });
    const wrong = await admin('restore', PROGRAM, '--data-dir', fresh);
    expect(wrong).toMatchObject({ status: 1, stderr: expect.stringContaining('backup-invalid') });
  });
});
