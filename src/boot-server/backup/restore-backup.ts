import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { bytesEqual } from '../../core/bytes.ts';
import { syncFolder, writeFileDurably } from '../../core/durable-file.ts';
import { isErrno } from '../../signing/keys/key-file.ts';
import {
  encodeServedFloor,
  parseServedFloor,
  SERVED_FLOOR_FILE,
} from '../../signing/repository/served-floor.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import { type ArtifactStore, createArtifactStore } from '../../storage/artifact-store.ts';
import { openDatabase } from '../../storage/database.ts';
import { type Voided, voidSingleUse } from '../../storage/restored-database.ts';
import { createSqlReleaseStore } from '../../storage/sql-release-store.ts';
import { differenceFromServed, type StoredRepository, storedRepository } from '../services/set-back.ts';
import { type ArchiveEntry, readArchive } from './archive.ts';
import { BackupError } from './backup-error.ts';
import { damaged } from './byte-reader.ts';
import { lockDatabase, servedBy } from './old-database.ts';
import { finishRestore, PENDING } from './pending-restore.ts';

export interface RestoreInput {
  readonly file: string;
  readonly dataDir: string;
  /** Asked for an encrypted backup only. */
  readonly passphrase: () => Promise<string>;
  /** A floor that is kept elsewhere: beside that of the data folder, and of the backup. */
  readonly servedFloor?: string;
  /** Also when it is older than what was served: the floor stays, so nothing is served before a publication. */
  readonly publishLater: boolean;
  readonly nowMs: number;
}

export interface RestoreReport {
  readonly entries: readonly string[];
  readonly voided: Voided;
  /** Why nothing is served until the current metadata are published. */
  readonly olderThanServed?: string;
}

const STAGING = /^\.restore-[0-9a-f]{24}$/;
const ARTIFACTS = 'artifacts/';
const CA = 'tls/ca.pem';
const CA_KEY = 'tls/ca.key';

/**
 * Replaces the state of a server that is stopped by that of a backup. All of it is unpacked, verified,
 * migrated and synced in a folder of its own before one rename makes it count (pending-restore.ts): a crash
 * leaves the old state or the new one, whole. Artifacts go straight into the store: they are named by what
 * they hold, and the old state does not mind more of them.
 *
 * @throws {BackupError} and then the state is what it was
 */
export async function restoreBackup(input: RestoreInput): Promise<RestoreReport> {
  const { dataDir } = input;
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  await finishRestore(dataDir);
  const old = lockDatabase(dataDir);
  try {
    await sweepStaging(dataDir);
    const staging = join(dataDir, `.restore-${randomBytes(12).toString('hex')}`);
    await mkdir(staging, { mode: 0o700 });
    try {
      const report = await stage(input, { staging, served: servedBy(old) });
      await syncTree(staging);
      await rename(staging, join(dataDir, PENDING));
      await syncFolder(dataDir);
      await finishRestore(dataDir);
      return report;
    } finally {
      await rm(staging, { recursive: true, force: true });
    }
  } finally {
    old?.close();
  }
}

interface Staging {
  readonly staging: string;
  /** What the state that is replaced has in its database. */
  readonly served: SeenRoles | undefined;
}

async function stage(input: RestoreInput, { staging, served }: Staging): Promise<RestoreReport> {
  const { dataDir, file } = input;
  const artifacts = await createArtifactStore({ folder: join(dataDir, 'artifacts') });
  const entries: string[] = [];
  await readArchive(createReadStream(file, { highWaterMark: 1024 * 1024 }), {
    passphrase: input.passphrase,
    async take(entry, bytes) {
      entries.push(entry.path);
      await unpack(entry, bytes, { staging, artifacts });
    },
  });
  if (!entries.includes('state.db')) damaged('it holds no database');
  const database = join(staging, 'state.db');
  requireIntact(database);
  const { voided, stored } = await prepare(database, input.nowMs);
  leaveWal(database);
  await keepAuthorityKey(dataDir, staging);
  const olderThanServed = await settleFloor(stored, input, { staging, served });
  return { entries, voided, ...(olderThanServed !== undefined && { olderThanServed }) };
}

/** The key of the same CA, when the backup was made while it was kept elsewhere. */
async function keepAuthorityKey(dataDir: string, staging: string): Promise<void> {
  const [was, is, key, restored] = await Promise.all(
    [join(dataDir, CA), join(staging, CA), join(dataDir, CA_KEY), join(staging, CA_KEY)].map(readIfThere),
  );
  if (was === undefined || key === undefined || restored !== undefined) return;
  if (is === undefined || !bytesEqual(was, is)) return;
  await writeFileDurably({ path: join(staging, CA_KEY), contents: key, replace: false });
}

async function readIfThere(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
}

async function unpack(
  { path, length, sha256 }: ArchiveEntry,
  bytes: AsyncIterable<Buffer>,
  { staging, artifacts }: { staging: string; artifacts: ArtifactStore },
): Promise<void> {
  if (path.startsWith(ARTIFACTS)) {
    if (path !== `${ARTIFACTS}${sha256}`) damaged(`${path} is named by another hash`);
    await artifacts.put({ sha256, length, source: Readable.from(bytes, { objectMode: false }) });
    return;
  }
  const target = join(staging, path);
  await mkdir(dirname(target), { recursive: true, mode: 0o700 });
  const output = await open(target, 'wx', 0o600);
  try {
    await output.writeFile(bytes);
  } finally {
    await output.close();
  }
}

function requireIntact(path: string): void {
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(path);
    database.exec('pragma trusted_schema = off');
    const [first] = database.prepare('pragma integrity_check').all();
    if (first?.integrity_check !== 'ok') damaged(`the database: ${String(first?.integrity_check)}`);
    if (database.prepare('pragma foreign_key_check').all().length > 0)
      damaged('the database: rows refer to what is not there');
  } catch (cause) {
    if (cause instanceof BackupError) throw cause;
    throw new BackupError('backup-damaged', 'the backup is damaged: its database is none', { cause });
  } finally {
    database?.close();
  }
}

/** Brings the schema up to date and takes the use out of what works once. */
async function prepare(path: string, nowMs: number): Promise<{ voided: Voided; stored: StoredRepository }> {
  const database = await openDatabase(path);
  try {
    const voided = await voidSingleUse(database, Math.floor(nowMs / 1000));
    return { voided, stored: storedRepository(await createSqlReleaseStore(database).loadMetadata()) };
  } finally {
    await database.destroy();
  }
}

function leaveWal(path: string): void {
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode = delete');
  database.close();
}

/**
 * The floor that the restored state starts with: what the database has, or the highest that anybody knows.
 *
 * @returns a sentence when the database is below it
 */
async function settleFloor(
  stored: StoredRepository,
  { dataDir, servedFloor, publishLater }: RestoreInput,
  { staging, served }: Staging,
): Promise<string | undefined> {
  const path = join(staging, SERVED_FLOOR_FILE);
  const known = [await loadFloor(path), await loadFloor(join(dataDir, SERVED_FLOOR_FILE)), served];
  if (servedFloor !== undefined) known.push(parseServedFloor(await readFile(servedFloor), servedFloor));
  const above = known.filter(
    (floor) => floor !== undefined && differenceFromServed(stored, floor) !== undefined,
  );
  const floor = above.sort((one, other) => timestampOf(other) - timestampOf(one))[0] ?? stored?.roles;
  if (floor !== undefined)
    await writeFileDurably({ path, contents: encodeServedFloor(floor), replace: true });
  if (above.length === 0 || floor === undefined) return undefined;
  const difference = differenceFromServed(stored, floor) ?? '';
  if (publishLater) return difference;
  throw new BackupError(
    'backup-older-than-served',
    `the backup is older than what was served (${difference}): nothing was restored. Take a newer backup; or restore it with --publish-later and publish the current metadata, before which nothing is served`,
  );
}

async function loadFloor(path: string): Promise<SeenRoles | undefined> {
  const bytes = await readIfThere(path);
  return bytes && parseServedFloor(bytes, path);
}

function timestampOf(floor: SeenRoles | undefined): number {
  return floor?.get('timestamp')?.version ?? 0;
}

async function sweepStaging(dataDir: string): Promise<void> {
  for (const name of await readdir(dataDir))
    if (STAGING.test(name)) await rm(join(dataDir, name), { recursive: true });
}

async function syncTree(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await syncTree(path);
    else await syncFile(await open(path, 'r+'));
  }
  await syncFolder(folder);
}

async function syncFile(file: FileHandle): Promise<void> {
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
