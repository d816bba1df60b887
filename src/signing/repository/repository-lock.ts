import { stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { isErrno } from '../keys/key-file.ts';
import type { RepositoryLayout } from './layout.ts';
import { RepositoryError } from './repository-error.ts';

/**
 * Lets one process at a time change a folder: two changes at once would mix their files under the same
 * version numbers. The lock is an abstract Unix socket (unix(7)) named after the folder's inode: taken
 * atomically, and gone with the process, however it ends. It holds within one machine and one network
 * namespace; a folder on a network file system is not protected from other machines.
 *
 * @throws {RepositoryError} `repository-busy`
 */
export async function withRepositoryLock<T>(layout: RepositoryLayout, work: () => Promise<T>): Promise<T> {
  const { dev, ino } = await stat(layout.folder).catch((cause: unknown) => {
    throw new RepositoryError('repository-missing', `${layout.folder} cannot be read`, { cause });
  });
  const lock = await takeLock(`\0bootward-repository-${dev}-${ino}`, layout.folder);
  try {
    return await work();
  } finally {
    await new Promise((resolve) => lock.close(resolve));
  }
}

function takeLock(name: string, folder: string): Promise<Server> {
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (cause) => {
      const busy = `another boot-sign is changing ${folder}: try again when it is done`;
      reject(isErrno(cause, 'EADDRINUSE') ? new RepositoryError('repository-busy', busy, { cause }) : cause);
    });
    server.listen(name, () => resolve(server));
  });
}
