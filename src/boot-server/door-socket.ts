import type { Server } from 'node:net';
import { CodedError, messageOf } from '../core/errors.ts';
import { listenOnUnixSocket, UnixSocketError } from '../core/unix-socket.ts';

export type DoorCode = 'door-socket-taken' | 'door-socket-not-a-socket' | 'door-not-opened';

/** Why a door did not open. */
export class DoorError extends CodedError<DoorCode> {}

export interface SocketAddress {
  path: string;
  /** Octal permission bits, as in the configuration: who may write to it may operate the server. */
  mode: '0600' | '0660';
}

const CODES = { 'socket-answered': 'door-socket-taken', 'not-a-socket': 'door-socket-not-a-socket' } as const;

/** @throws {DoorError} */
export async function listenOnSocket(server: Server, { path, mode }: SocketAddress): Promise<void> {
  try {
    await listenOnUnixSocket(server, { path, mode: Number.parseInt(mode, 8) });
  } catch (cause) {
    throw cause instanceof UnixSocketError
      ? new DoorError(CODES[cause.code], cause.message, { cause })
      : new DoorError('door-not-opened', `cannot listen on ${path}: ${messageOf(cause)}`, { cause });
  }
}
