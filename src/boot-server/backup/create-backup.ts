import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, readdir, readFile, stat, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { openTemporaryFile } from '../../core/durable-file.ts';
import { isErrno } from '../../core/errno.ts';
import { referenceOf } from '../../signing/artifact.ts';
import { SERVED_FLOOR_FILE } from '../../signing/repository/served-floor.ts';
import { type EntrySource, type Lock, readArchive, writeArchive } from './archive.ts';
import { BackupError } from './backup-error.ts';
import { hashFile } from './hash-file.ts';
import { PENDING } from './pending-restore.ts';

export interface BackupInput {
  readonly dataDir: string;
  /** Made; never replaced. */
  readonly file: string;
  readonly artifacts: boolean;
  /** With it the backup is encrypted, and holds the private keys. */
  readonly lock?: Lock;
}

export interface BackupReport {
  readonly file: string;
  readonly entries: readonly { readonly path: string; readonly length: number }[];
  readonly encrypted: boolean;
}

const BUSY_MS = 30_000;
const VENDORS = 'tpm-vendors';
const SECRETS = [
  'grant.key',
  ...['ca', 'firmware', 'agents'].flatMap((name) => [`tls/${name}.key`, `tls/${name}.pem`]),
];

/**
 * A backup of one moment, whether or not the server runs: the database as SQLite hands it out between two
 * transactions. The floor is read before, so it is never above the database. What was written is read back
 * and checked before the file gets its name; a crash leaves no file.
 *
 * @throws {BackupError}
 */
export async function createBackup(input: BackupInput): Promise<BackupReport> {
  const { dataDir, lock } = input;
  const file = resolve(input.file);
  await requireNoRestore(dataDir);
  await requireDatabase(dataDir);
  const floor = await readIfThere(join(dataDir, SERVED_FLOOR_FILE));
  const snapshot = join(dirname(file), `.bootward-${randomBytes(12).toString('hex')}.tmp`);
  const output = await openTemporaryFile(dirname(file));
  const written: { path: string; length: number }[] = [];
  try {
    await takeSnapshot(join(dataDir, 'state.db'), snapshot);
    const entries = noted(entriesOf({ ...input, snapshot, floor }), written);
    await output.handle.writeFile(writeArchive(entries, lock));
    await readBack(output.handle, lock);
    await output.commit(file, { replace: false });
  } catch (cause) {
    if (!isErrno(cause, 'EEXIST')) throw cause;
    throw new BackupError('backup-exists', `${file} is there already and stays as it is`, { cause });
  } finally {
    await output.discard();
    await unlink(snapshot).catch(() => undefined);
  }
  return { file, entries: written, encrypted: lock !== undefined };
}

async function requireDatabase(dataDir: string): Promise<void> {
  if ((await readIfThere(join(dataDir, 'state.db'), 1)) === undefined)
    throw new BackupError('data-dir-missing', `${dataDir} holds no state.db: give the server's --data-dir`);
}

/** What the folder holds beside it no longer counts. */
async function requireNoRestore(dataDir: string): Promise<void> {
  const pending = join(dataDir, PENDING);
  if ((await readIfThere(pending, 1)) !== undefined)
    throw new BackupError(
      'restore-pending',
      `${pending} is there: a restore was cut short, and what would be backed up no longer counts. Start the server or restore again, either finishes it; then make the backup`,
    );
}

/** Whole and consistent, without its free pages; readers and writers go on meanwhile. */
async function takeSnapshot(database: string, snapshot: string): Promise<void> {
  await (await open(snapshot, 'wx', 0o600)).close();
  const source = new DatabaseSync(database, { timeout: BUSY_MS });
  try {
    source.prepare('vacuum into ?').run(snapshot);
  } finally {
    source.close();
  }
}

async function* entriesOf(on: {
  dataDir: string;
  snapshot: string;
  floor: Uint8Array | undefined;
  artifacts: boolean;
  lock?: Lock;
}): AsyncGenerator<EntrySource> {
  const { dataDir, floor } = on;
  if (floor !== undefined) yield inMemory(SERVED_FLOOR_FILE, floor);
  yield { path: 'state.db', ...(await hashFile(on.snapshot)), open: () => createReadStream(on.snapshot) };
  for (const name of await namesIn(join(dataDir, VENDORS))) yield* small(dataDir, `${VENDORS}/${name}`);
  for (const path of on.lock === undefined ? [] : SECRETS) yield* small(dataDir, path);
  if (on.artifacts) yield* artifactsIn(join(dataDir, 'artifacts'));
}

async function* small(dataDir: string, path: string): AsyncGenerator<EntrySource> {
  const bytes = await readIfThere(join(dataDir, path));
  if (bytes !== undefined) yield inMemory(path, bytes);
}

/** Named by what they hold: one that holds something else by now ends the backup. */
async function* artifactsIn(folder: string): AsyncGenerator<EntrySource> {
  for (const group of await namesIn(folder))
    for (const sha256 of await namesIn(join(folder, group))) {
      if (!/^[0-9a-f]{64}$/.test(sha256)) continue;
      const source = join(folder, group, sha256);
      const { size } = await stat(source);
      yield { path: `artifacts/${sha256}`, length: size, sha256, open: () => createReadStream(source) };
    }
}

function inMemory(path: string, bytes: Uint8Array): EntrySource {
  const open = async function* () {
    yield bytes;
  };
  return { path, ...referenceOf(bytes), open };
}

async function* noted(
  entries: AsyncIterable<EntrySource>,
  written: { path: string; length: number }[],
): AsyncGenerator<EntrySource> {
  for await (const entry of entries) {
    yield entry;
    written.push({ path: entry.path, length: entry.length });
  }
}

async function readBack(handle: FileHandle, lock: Lock | undefined): Promise<void> {
  const source = handle.createReadStream({ start: 0, autoClose: false });
  const passphrase = async () => lock?.passphrase ?? '';
  await readArchive(source, {
    passphrase,
    async take(_entry, bytes) {
      for await (const _ of bytes);
    },
  });
}

async function namesIn(folder: string): Promise<readonly string[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith('.')).sort();
}

async function readIfThere(path: string, length?: number): Promise<Uint8Array | undefined> {
  try {
    if (length === undefined) return await readFile(path);
    await stat(path);
    return new Uint8Array(length);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  }
}
