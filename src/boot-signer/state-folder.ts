import { constants } from 'node:fs';
import { mkdir, open, stat } from 'node:fs/promises';
import type { Server } from 'node:net';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { syncFolder, writeFileDurably } from '../core/durable-file.ts';
import { takeInodeLock } from '../core/inode-lock.ts';
import type { JsonObject } from '../core/strict-json.ts';
import { EMPTY_ANCHOR, encodeSlot } from './audit/anchor.ts';
import { EMPTY_HEAD, encodeRecord } from './audit/audit-log.ts';
import { SignerStateError } from './errors.ts';

// stateDir:
//
//   audit.jsonl           all that was asked, approved and signed: the memory of the service
//   audit.anchor          how far that file had come
//   requests/<sha256>     what waits for approvals, by hash

export interface StateLayout {
  readonly folder: string;
  readonly log: string;
  readonly anchor: string;
  readonly requests: string;
}

export function stateLayout(folder: string): StateLayout {
  return {
    folder,
    log: join(folder, 'audit.jsonl'),
    anchor: join(folder, 'audit.anchor'),
    requests: join(folder, 'requests'),
  };
}

/** Begins an audit log. @throws {SignerStateError} `state-exists` */
export async function createState(layout: StateLayout, nowMs: number, event: JsonObject): Promise<void> {
  await mkdir(layout.requests, { recursive: true, mode: 0o700 });
  const { line, head } = encodeRecord(EMPTY_HEAD, nowMs, event);
  try {
    // The anchor first: an anchor alone is a lost log, and says so.
    const anchor = Buffer.from(EMPTY_ANCHOR);
    anchor.set(encodeSlot(head), (head.seq % 2) * (anchor.length / 2));
    await writeFileDurably({ path: layout.anchor, contents: anchor, mode: 0o600, replace: false });
    await writeFileDurably({ path: layout.log, contents: line, mode: 0o600, replace: false });
    await syncFolder(dirname(layout.folder));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EEXIST') throw cause;
    throw new SignerStateError('state-exists', `${layout.folder} holds a state already and stays as it is`, {
      cause,
    });
  }
}

export interface OpenedState {
  readonly log: number;
  readonly anchor: number;
  close(): Promise<void>;
}

/**
 * For the key process, which may not open files for writing itself: it inherits these. The log is open for
 * synchronous writing (O_DSYNC): a write that returns is durable, since that process may not call fsync either.
 *
 * @throws {SignerStateError} `state-missing`
 */
export async function openState(layout: StateLayout): Promise<OpenedState> {
  const { O_RDWR, O_APPEND, O_DSYNC } = constants;
  const log = await openExisting(layout.log, O_RDWR | O_APPEND | O_DSYNC);
  const anchor = await openExisting(layout.anchor, O_RDWR);
  return {
    log: log.fd,
    anchor: anchor.fd,
    async close() {
      await log.close();
      await anchor.close();
    },
  };
}

async function openExisting(path: string, flags: number) {
  return open(path, flags).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOENT') throw cause;
    throw new SignerStateError(
      'state-missing',
      `${path} is not there. A new service begins with "boot-signer init"; one that has signed before needs its ` +
        'state back, or forgets what it signed: docs/signing-service.md, "A lost state"',
      { cause },
    );
  });
}

const BUSY_TRIES = 50;

/**
 * One service at a time on a state. The key process inherits the lock, so that it is taken until both
 * processes are gone, however they end.
 *
 * @throws {SignerStateError} `state-busy`
 */
export async function lockState(layout: StateLayout): Promise<{ server: Server; descriptor: number }> {
  const inode = await stat(layout.folder).catch((cause: unknown) => {
    throw new SignerStateError(
      'state-missing',
      `${layout.folder} is not there: "boot-signer init" makes it`,
      { cause },
    );
  });
  for (let tries = 0; tries < BUSY_TRIES; tries += 1) {
    const server = await takeInodeLock('signer', inode);
    if (server !== undefined) return { server, descriptor: descriptorOf(server) };
    await delay(100);
  }
  throw new SignerStateError('state-busy', `another boot-signer is at work in ${layout.folder}`);
}

/**
 * Node passes sockets on to its own workers only; a child of another kind needs the number, which no public
 * interface tells: hence the look at whether it is one.
 */
function descriptorOf(server: Server): number {
  const { fd } = (server as unknown as { _handle: { fd: number } })._handle;
  if (!Number.isInteger(fd) || fd < 3)
    throw new Error('this runtime does not say what descriptor a socket has');
  return fd;
}
