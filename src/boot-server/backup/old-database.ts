import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { MetadataFile } from '../../releases/release-store.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import { newRootsIn } from '../services/kept-root.ts';
import { lowestRoot } from '../services/lowest-root.ts';
import { storedRepository } from '../services/set-back.ts';
import { BackupError } from './backup-error.ts';
import { filesByName } from './restored-roots.ts';

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

/** What a state that is replaced trusted, as far as it can be read: its floor's file may be gone. */
export interface OldTrust {
  /** What it had published. */
  readonly served?: SeenRoles;
  /** The same with the roots that were kept beside it. */
  readonly trusted?: SeenRoles;
  /** Published and kept ones; nothing of them has been verified. */
  readonly roots: readonly MetadataFile[];
}

export function trustOf(database: DatabaseSync | undefined): OldTrust {
  const published = rowsOf(database, 'select name, bytes, published_at from metadata_files');
  const kept = rowsOf(database, 'select name, bytes from kept_roots');
  const files = published.map(toFile);
  const roots = [...files.filter(({ name }) => name.endsWith('.root.json')), ...kept.map(toFile)];
  if (files.length === 0) return { roots };
  const publishedAtSeconds = Math.max(...published.map((row) => Number(row.published_at)));
  try {
    const served = storedRepository({ files, publishedAtSeconds })?.roles ?? new Map();
    const byName = filesByName(roots);
    const newer = newRootsIn(byName, { trustedRoot: lowestRoot(byName), seen: served });
    return { roots, served, trusted: newer?.seen ?? served };
  } catch {
    // Not good, so it says nothing; the floor's file may.
    return { roots };
  }
}

/** Nothing of a table that is not there, or not readable. */
function rowsOf(database: DatabaseSync | undefined, sql: string): Record<string, unknown>[] {
  try {
    return database?.prepare(sql).all() ?? [];
  } catch {
    return [];
  }
}

function toFile({ name, bytes }: Record<string, unknown>): MetadataFile {
  return { name: String(name), bytes: bytes as Uint8Array };
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  return code === SQLITE_BUSY || code === SQLITE_LOCKED;
}
