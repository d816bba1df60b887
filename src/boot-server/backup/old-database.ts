import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import { storedRepository } from '../services/set-back.ts';
import { BackupError } from './backup-error.ts';

const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;

/**
 * Nobody else has the database open, and nobody opens it while this is. Leaving WAL mode also puts all of it
 * into its one file.
 *
 * @returns undefined when there is none, or one that is damaged: that is what backups are for
 * @throws {BackupError} `server-running`
 */
export function lockDatabase(dataDir: string): DatabaseSync | undefined {
  const path = join(dataDir, 'state.db');
  if (!existsSync(path)) return undefined;
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('pragma trusted_schema = off; pragma journal_mode = delete; begin exclusive');
    return database;
  } catch (cause) {
    database.close();
    if (!isBusy(cause)) return undefined;
    throw new BackupError('server-running', `${path} is in use: stop the server first`, { cause });
  }
}

/** What the old state had published, where it can be read: its floor's file may be gone. */
export function servedBy(database: DatabaseSync | undefined): SeenRoles | undefined {
  try {
    const rows = database?.prepare('select name, bytes, published_at from metadata_files').all() ?? [];
    if (rows.length === 0) return undefined;
    const files = rows.map(({ name, bytes }) => ({ name: String(name), bytes: bytes as Uint8Array }));
    const publishedAtSeconds = Math.max(...rows.map((row) => Number(row.published_at)));
    return storedRepository({ files, publishedAtSeconds })?.roles;
  } catch {
    // Not readable, so it says nothing; the floor's file may.
    return undefined;
  }
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  return code === SQLITE_BUSY || code === SQLITE_LOCKED;
}
