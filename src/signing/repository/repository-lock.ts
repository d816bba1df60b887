import { stat } from 'node:fs/promises';
import { takeInodeLock } from '../../core/inode-lock.ts';
import type { RepositoryLayout } from './layout.ts';
import { RepositoryError } from './repository-error.ts';

/**
 * Lets one process at a time change a folder: two changes at once would mix their files under the same
 * version numbers. What it protects from and what not: `takeInodeLock`.
 *
 * @throws {RepositoryError} `repository-busy`
 */
export async function withRepositoryLock<T>(layout: RepositoryLayout, work: () => Promise<T>): Promise<T> {
  const inode = await stat(layout.folder).catch((cause: unknown) => {
    throw new RepositoryError('repository-missing', `${layout.folder} cannot be read`, { cause });
  });
  const lock = await takeInodeLock('repository', inode);
  if (lock === undefined)
    throw new RepositoryError(
      'repository-busy',
      `another boot-sign is changing ${layout.folder}: try again when it is done`,
    );
  try {
    return await work();
  } finally {
    await new Promise((resolve) => lock.close(resolve));
  }
}
