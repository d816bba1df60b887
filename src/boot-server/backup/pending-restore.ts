import { randomBytes } from 'node:crypto';
import { access, rename, rm, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { syncFolder } from '../../core/durable-file.ts';
import { isErrno } from '../../core/errno.ts';
import { SERVED_FLOOR_FILE } from '../../signing/repository/served-floor.ts';

export const PENDING = 'restore-pending';
/** What SQLite keeps beside the database that is replaced: never to be read with another. */
const BESIDE_DATABASE = ['state.db-wal', 'state.db-shm', 'state.db-journal'];
const FILES = [SERVED_FLOOR_FILE, 'grant.key'];
const FOLDERS = ['tls', 'tpm-vendors'];

/**
 * Puts a restored state in place. The folder `restore-pending` is its journal: it appears by one rename when
 * all of it is on disk and verified, and from then on the restored state is what counts. Whoever opens the
 * data folder next, a server or another restore, moves what is left of it: each step can be done again.
 *
 * @returns whether there was one
 */
export async function finishRestore(dataDir: string): Promise<boolean> {
  const pending = join(dataDir, PENDING);
  if (!(await isThere(pending))) return false;
  if (await isThere(join(pending, 'state.db'))) {
    for (const name of BESIDE_DATABASE) await unlinkIfThere(join(dataDir, name));
    await syncFolder(dataDir);
    await rename(join(pending, 'state.db'), join(dataDir, 'state.db'));
  }
  for (const name of FILES)
    if (await isThere(join(pending, name))) await rename(join(pending, name), join(dataDir, name));
  for (const name of FOLDERS) if (await isThere(join(pending, name))) await exchange(dataDir, name);
  await syncFolder(dataDir);
  const done = join(dataDir, `.restore-${randomBytes(12).toString('hex')}`);
  await rename(pending, done);
  await syncFolder(dataDir);
  await rm(done, { recursive: true });
  return true;
}

/** A folder cannot be replaced by a rename: the old one steps aside first. */
async function exchange(dataDir: string, name: string): Promise<void> {
  const place = join(dataDir, name);
  const aside = join(dataDir, PENDING, `old-${name}`);
  if ((await isThere(place)) && !(await isThere(aside))) await rename(place, aside);
  await rename(join(dataDir, PENDING, name), place);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return false;
    throw error;
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  await unlink(path).catch((error: unknown) => {
    if (!isErrno(error, 'ENOENT')) throw error;
  });
}
