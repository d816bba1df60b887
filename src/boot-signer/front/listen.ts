import { once } from 'node:events';
import type { Server } from 'node:net';
import { listenOnUnixSocket, UnixSocketError } from '../../core/unix-socket.ts';
import { SignerStateError } from '../errors.ts';

/** @throws {SignerStateError} `socket-taken` */
export async function listenOnSocket(server: Server, address: { path: string; mode: number }): Promise<void> {
  try {
    await listenOnUnixSocket(server, address);
  } catch (cause) {
    throw cause instanceof UnixSocketError
      ? new SignerStateError('socket-taken', cause.message, { cause })
      : cause;
  }
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
