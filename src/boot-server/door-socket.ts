import { once } from 'node:events';
import { lstat, unlink } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { CodedError, messageOf } from '../core/errors.ts';

export type DoorCode = 'door-socket-taken' | 'door-socket-not-a-socket' | 'door-not-opened';

/** Why a door did not open. */
export class DoorError extends CodedError<DoorCode> {}

export interface SocketAddress {
  path: string;
  /** Octal permission bits, as in the configuration: who may write to it may operate the server. */
  mode: '0600' | '0660';
}

/**
 * Listens on a Unix socket that has its permissions from the first moment. A socket file that a killed
 * server left behind is replaced; one that a server answers on, and anything that is no socket, is not.
 */
export async function listenOnSocket(server: Server, { path, mode }: SocketAddress): Promise<void> {
  await removeStaleSocket(path);
  const listening = once(server, 'listening');
  listenWithUmask(server, path, 0o777 & ~Number.parseInt(mode, 8));
  await listening.catch((cause: unknown) => {
    throw new DoorError('door-not-opened', `cannot listen on ${path}: ${messageOf(cause)}`, { cause });
  });
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
  const found = await lstat(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === 'ENOENT') return undefined;
    throw new DoorError('door-not-opened', `cannot look at ${path}: ${cause.message}`, { cause });
  });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new DoorError('door-socket-not-a-socket', `${path} is there and is no socket: move it away`);
  if (await answers(path))
    throw new DoorError(
      'door-socket-taken',
      `another server answers on ${path}: stop it, or choose another path`,
    );
  await unlink(path);
}

/** Only a refused connection proves that nobody listens: a full backlog or a denied one may be a live server. */
function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const probe = connect({ path });
  probe.once('connect', () => resolve(true));
  probe.once('error', (cause: NodeJS.ErrnoException) => resolve(cause.code !== 'ECONNREFUSED'));
  return promise.finally(() => probe.destroy());
}
