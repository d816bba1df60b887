import { createServer, type Server } from 'node:net';

/**
 * A lock that the kernel takes back with the last process that holds it, however that ends: an abstract Unix
 * socket (unix(7)) named after a folder's inode, and taken atomically. It holds within one machine and one
 * network namespace; a folder on a network file system is not protected from other machines.
 *
 * @param purpose one folder may have several locks
 * @returns the lock, which ends when it is closed; `undefined` when someone else has it
 */
export function takeInodeLock(
  purpose: string,
  { dev, ino }: { dev: number; ino: number },
): Promise<Server | undefined> {
  const server = createServer((connection) => connection.destroy());
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    );
    server.listen(`\0bootward-${purpose}-${dev}-${ino}`, () => resolve(server));
  });
}
