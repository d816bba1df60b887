import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { SignerStateError } from '../errors.ts';

/**
 * A Unix socket that has its permissions from the first moment. What a killed service left behind is replaced;
 * a socket that someone answers on, and a file that is none, is not.
 */
export async function listenOnSocket(
  server: Server,
  { path, mode }: { path: string; mode: number },
): Promise<void> {
  await removeStale(path);
  const listening = once(server, 'listening');
  const before = process.umask(0o777 & ~mode);
  // Node binds in the same tick, so nothing else runs under the changed umask.
  server.listen({ path });
  process.umask(before);
  await listening;
}

export async function listenOnTcp(
  server: Server,
  { host, port }: { host: string; port: number },
): Promise<number> {
  const listening = once(server, 'listening');
  server.listen({ host, port });
  await listening;
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

async function removeStale(path: string): Promise<void> {
  const found = await lstat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (found === undefined) return;
  if (!found.isSocket() || (await answers(path)))
    throw new SignerStateError(
      'socket-taken',
      `${path} is in use, or is no socket: move it away, or choose another path`,
    );
  await unlink(path);
}

function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect({ path });
  probe.once('connect', () => resolve(true));
  probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code !== 'ECONNREFUSED'));
  return promise.finally(() => probe.destroy());
}
