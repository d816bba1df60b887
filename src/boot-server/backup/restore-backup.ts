import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Readable } from 'node:stream';
import { bytesEqual } from '../../core/bytes.ts';
import { syncFolder, writeFileDurably } from '../../core/durable-file.ts';
import { readIfThere } from '../../core/errno.ts';
import { type ArtifactStore, createArtifactStore } from '../../storage/artifact-store.ts';
import { openDatabase } from '../../storage/database.ts';
import { type Voided, voidWhatMovedOn } from '../../storage/restored-database.ts';
import { createSqlReleaseStore } from '../../storage/sql-release-store.ts';
import { type StoredRepository, storedRepository } from '../services/set-back.ts';
import { type ArchiveEntry, readArchive } from './archive.ts';
import { BackupError } from './backup-error.ts';
import { damaged } from './byte-reader.ts';
import { lockDatabase, type OldTrust, trustOf } from './old-database.ts';
import { finishRestore, PENDING } from './pending-restore.ts';
import { settleFloor } from './restored-floor.ts';
import { type CarriedRoots, carryRoots } from './restored-roots.ts';

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
  /** Root files that the replaced state trusted, and the backup did not know. */
  readonly keptRoots: readonly string[];
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
      const report = await stage(input, { staging, old: trustOf(old) });
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
  /** Of the state that is replaced. */
  readonly old: OldTrust;
}

async function stage(input: RestoreInput, { staging, old }: Staging): Promise<RestoreReport> {
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
  const { voided, stored, roots } = await prepare(database, { nowMs: input.nowMs, old });
  leaveWal(database);
  await keepAuthorityKey(dataDir, staging);
  const served = isTrusted(old.trusted, roots) ? old.served : old.trusted;
  const olderThanServed = await settleFloor(stored, { ...input, staging, served });
  const keptRoots = roots.added;
  return { entries, voided, keptRoots, ...(olderThanServed !== undefined && { olderThanServed }) };
}

/** Whether the restored state trusts the root of the replaced one: otherwise its floor has to. */
function isTrusted(trusted: OldTrust['trusted'], { chain }: CarriedRoots): boolean {
  const root = trusted?.get('root');
  return chain.some(({ version, file }) => version === root?.version && file.sha256 === root.sha256);
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

/** Brings the schema up to date, voids what has moved on since, and takes over what is trusted. */
async function prepare(
  path: string,
  { nowMs, old }: { nowMs: number; old: OldTrust },
): Promise<{ voided: Voided; stored: StoredRepository; roots: CarriedRoots }> {
  const database = await openDatabase(path);
  const atSeconds = Math.floor(nowMs / 1000);
  try {
    const voided = await voidWhatMovedOn(database, atSeconds);
    const store = createSqlReleaseStore(database);
    const stored = storedRepository(await store.loadMetadata());
    return { voided, stored, roots: await carryRoots(store, { oldRoots: old.roots, atSeconds }) };
  } finally {
    await database.destroy();
  }
}

function leaveWal(path: string): void {
  const database = new DatabaseSync(path);
  database.exec('pragma journal_mode = delete');
  database.close();
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
