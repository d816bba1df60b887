import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBackup } from '../../../src/boot-server/backup/create-backup.ts';
import { newEncryption } from '../../../src/boot-server/backup/encryption.ts';
import { finishRestore } from '../../../src/boot-server/backup/pending-restore.ts';
import { PublishedServer } from './published-server.ts';

// boot-admin in a process of its own, killed before each change that it makes of the names in the folder.

const PROGRAM = join(import.meta.dirname, '../../../src/cli/boot-admin.ts');
const HOOK = join(import.meta.dirname, '../../cli/die-at-write.ts');
const MOST_CHANGES = 60;
const PASSPHRASE = 'correct horse battery';
let world: PublishedServer;
let old: string;
let fresh: string;
let file: string;

/** Two states of one server with nothing in common: other keys, other certificates, another release. */
beforeAll(async () => {
  world = await PublishedServer.publish();
  [old, fresh, file] = ['old', 'fresh', 'backup'].map((name) => join(world.folder, name)) as [
    string,
    string,
    string,
  ];
  await world.stop();
  cpSync(world.config.dataDir, old, { recursive: true });
  for (const name of ['grant.key', 'tls/ca.pem', 'tls/agents.key'])
    writeFileSync(join(old, name), 'of the old state', { mode: 0o600 });
  markDatabase(old, 'old');
  await world.open();
  await world.desk.addRelease(2);
  await world.publishDesk();
  world.database((database) => mark(database, 'new'));
  const lock = { passphrase: PASSPHRASE, encryption: newEncryption(12) };
  await createBackup({ dataDir: world.config.dataDir, file, artifacts: true, lock });
  writeFileSync(join(world.folder, 'passphrase'), PASSPHRASE);
  await world.stop();
});

afterAll(() => world.close());

const mark = (database: DatabaseSync, word: string): void =>
  database.exec(`insert into audit_events (at, kind, subject, detail) values (1, 'mark', '${word}', '{}')`);

function markDatabase(folder: string, word: string): void {
  const database = new DatabaseSync(join(folder, 'state.db'));
  mark(database, word);
  database.close();
}

function markOf(folder: string): string {
  const database = new DatabaseSync(join(folder, 'state.db'));
  try {
    expect(database.prepare('pragma integrity_check').get()).toEqual({ integrity_check: 'ok' });
    return String(database.prepare(`select subject from audit_events where kind = 'mark'`).get()?.subject);
  } finally {
    database.close();
  }
}

function runAndDie(dieAt: number, args: readonly string[]) {
  const passphrase = ['--passphrase-file', join(world.folder, 'passphrase')];
  const { status, signal } = spawnSync(
    process.execPath,
    ['--import', HOOK, PROGRAM, ...args, ...passphrase],
    {
      env: { ...process.env, DIE_AT: String(dieAt) },
    },
  );
  return { status, died: signal === 'SIGKILL' };
}

const isOld = (folder: string, name: string): boolean =>
  readFileSync(join(folder, name), 'utf8') === 'of the old state';

/** Which of the two states all of a folder is of. */
function stateOf(folder: string): string {
  const floor = JSON.parse(readFileSync(join(folder, 'served-floor.json'), 'utf8'));
  const words = [
    markOf(folder),
    floor.roles.timestamp.version === 3 ? 'old' : 'new',
    ...['grant.key', 'tls/ca.pem', 'tls/agents.key'].map((name) => (isOld(folder, name) ? 'old' : 'new')),
  ];
  const [state = ''] = words;
  expect(new Set(words)).toEqual(new Set([state]));
  return state;
}

test('D10 a restore that is killed at any change leaves the old state or the new one, whole', async () => {
  const states: string[] = [];
  for (let dieAt = 1; dieAt <= MOST_CHANGES; dieAt += 1) {
    rmSync(fresh, { recursive: true, force: true });
    cpSync(old, fresh, { recursive: true });
    const { status, died } = runAndDie(dieAt, ['restore', file, '--data-dir', fresh]);
    // As the server does when it starts.
    await finishRestore(fresh);
    states.push(stateOf(fresh));
    expect(existsSync(join(fresh, 'restore-pending'))).toBe(false);
    if (died) continue;
    expect(status).toBe(0);
    break;
  }
  expect(states).toEqual([...states].sort().reverse());
  expect(new Set(states)).toEqual(new Set(['old', 'new']));
  expect(states.length).toBeGreaterThan(6);
}, 120_000);

test('a restore that was killed is done again by the next one, which leaves nothing of it', async () => {
  rmSync(fresh, { recursive: true, force: true });
  cpSync(old, fresh, { recursive: true });
  const names = ['artifacts', 'grant.key', 'served-floor.json', 'state.db', 'tls', 'tpm-vendors'];
  for (let dieAt = 1; dieAt <= MOST_CHANGES; dieAt += 4)
    if (!runAndDie(dieAt, ['restore', file, '--data-dir', fresh]).died) break;
  expect(runAndDie(0, ['restore', file, '--data-dir', fresh]).status).toBe(0);
  expect(stateOf(fresh)).toBe('new');
  expect(
    readdirSync(fresh)
      .filter((name) => !name.startsWith('.bootward'))
      .sort(),
  ).toEqual(names);
}, 120_000);

test('a backup that is killed leaves no file of its name, or a whole one', () => {
  const target = join(world.folder, 'killed-backup');
  for (let dieAt = 1; dieAt <= MOST_CHANGES; dieAt += 1) {
    rmSync(target, { force: true });
    const { died } = runAndDie(dieAt, ['backup', target, '--data-dir', world.config.dataDir]);
    if (existsSync(target)) {
      expect(statSync(target).size).toBeGreaterThan(10_000);
      rmSync(fresh, { recursive: true, force: true });
      expect(runAndDie(0, ['restore', target, '--data-dir', fresh]).status).toBe(0);
    }
    if (!died) return;
  }
  throw new Error('it never came to its end');
}, 120_000);
