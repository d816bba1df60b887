import { stat } from 'node:fs/promises';
import { CodedError } from '../core/errors.ts';
import { takeInodeLock } from '../core/inode-lock.ts';

export class DataFolderError extends CodedError<'data-folder-busy'> {}

/**
 * One server at a time uses a data folder: what is published is kept in its memory, so a second one would give out
 * what was withdrawn, and each would remove artifacts that the other needs. What it protects from and what not:
 * `takeInodeLock`.
 *
 * @returns gives the folder back
 * @throws {DataFolderError}
 */
export async function lockDataFolder(dataDir: string): Promise<() => Promise<void>> {
  const lock = await takeInodeLock('data-folder', await stat(dataDir));
  if (lock === undefined)
    throw new DataFolderError(
      'data-folder-busy',
      `another boot server uses ${dataDir}: stop it, or give this one a dataDir of its own`,
    );
  return () => new Promise((resolve) => lock.close(() => resolve()));
}
