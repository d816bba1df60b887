import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { CodedError } from './errors.ts';

/** Why a socket file stays as it is; what the system says of a path is passed on as it says it. */
export class UnixSocketError extends CodedError<'socket-answered' | 'not-a-socket'> {}

/**
 * Listens on a Unix socket that has its permissions from the first moment. A socket file that a killed
 * server left behind is replaced; one that a server answers on, and anything that is no socket, is not.
 *
 * @param mode permission bits: who may write to it may connect
 * @throws {UnixSocketError}
 */
export async function listenOnUnixSocket(
  server: Server,
  { path, mode }: { path: string; mode: number },
): Promise<void> {
  await removeStaleSocket(path);
  const listening = once(server, 'listening');
  listenWithUmask(server, path, 0o777 & ~mode);
  await listening;
}

/** Node binds in the same tick, so nothing else of this process runs under the changed umask. */
function listenWithUmask(server: Server, path: string, umask: number): void {
  const previous = process.umask(umask);
  try {
    server.listen({ path });
  } finally {
    process.umask(previous);
  }
}

async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new UnixSocketError('not-a-socket', `${path} is there and is no socket: move it away`);
  if (await answers(path))
    throw new UnixSocketError(
      'socket-answered',
      `another server answers on ${path}: stop it, or choose another path`,
    );
  await unlink(path);
}

/** Only a refused connection proves that nobody listens: a full backlog or a denied one may be a live server. */
function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect({ path });
  probe.once('connect', () => resolve(true));
  probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  return promise.finally(() => probe.destroy());
}
