import { fstatSync, ftruncateSync, readSync, write } from 'node:fs';
import { concatBytes, sha256, toHex } from '../../core/bytes.ts';
import type { Clock } from '../../core/clock.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { SignerStateError } from '../errors.ts';
import { readAnchor, requireNotRolledBack, writeAnchor } from './anchor.ts';
import { type AuditHead, type AuditRecord, encodeRecord, verifyAuditLog } from './audit-log.ts';

/** Open for reading, appending and synchronous writing (O_DSYNC): see state-folder.ts. */
export interface AuditFiles {
  readonly log: number;
  readonly anchor: number;
}

/**
 * The one writer of the audit log. `append` decides the order at once and answers when the record is durable;
 * records that come meanwhile share the next write. A write that fails ends everything: `onFailure`, for what
 * the file holds then is known only after it is read again.
 */
export interface AuditWriter {
  readonly head: AuditHead;
  append(event: JsonObject): Promise<void>;
  /** When all that was appended so far is durable. */
  settled(): Promise<void>;
}

export type Step = (name: string) => void;

/**
 * Reads the log, repairs its last line if a crash tore it, and records that.
 *
 * @throws {SignerStateError} `audit-log-damaged`, `state-rolled-back`, `state-missing`
 */
export async function openAuditWriter(input: {
  files: AuditFiles;
  clock: Clock;
  step: Step;
  onFailure: (error: Error) => void;
}): Promise<{ writer: AuditWriter; records: readonly AuditRecord[] }> {
  const { files, clock } = input;
  const bytes = readAll(files.log);
  const log = verifyAuditLog(bytes);
  requireNotRolledBack(log, readAnchor(files.anchor));
  if (log.head.seq === 0)
    throw new SignerStateError('state-missing', 'the audit log is empty: "boot-signer init" begins one');
  const writer = createWriter({ ...input, head: log.head });
  if (log.tornBytes > 0) {
    const torn = bytes.subarray(log.bytes);
    ftruncateSync(files.log, log.bytes);
    await writer.append({ type: 'log-repaired', droppedBytes: torn.length, sha256: toHex(sha256(torn)) });
  }
  await writer.append({ type: 'started', at: new Date(clock.nowMs()).toISOString() });
  return { writer, records: log.records };
}

function createWriter(input: {
  files: AuditFiles;
  clock: Clock;
  step: Step;
  head: AuditHead;
  onFailure: (error: Error) => void;
}): AuditWriter {
  const { files, clock, step } = input;
  let { head } = input;
  let waiting: Uint8Array[] = [];
  let turn: Promise<void> | undefined;

  let last: Promise<void> = Promise.resolve();

  const flush = async (previous: Promise<void>): Promise<void> => {
    // One turn of the event loop, so that whoever is ready at the same time shares the write.
    await new Promise((resolve) => setImmediate(resolve));
    await previous;
    const lines = concatBytes(...waiting);
    const upTo = head;
    waiting = [];
    turn = undefined;
    step('before-record');
    await writeAll(files.log, lines);
    step('record-durable');
    writeAnchor(files.anchor, upTo);
  };

  return {
    get head() {
      return head;
    },
    append(event) {
      const record = encodeRecord(head, clock.nowMs(), event);
      head = record.head;
      waiting.push(record.line);
      if (turn === undefined) {
        turn = flush(last);
        last = turn;
        turn.catch(input.onFailure);
      }
      return turn;
    },
    settled: () => last,
  };
}

function writeAll(descriptor: number, bytes: Uint8Array, from = 0): Promise<void> {
  return new Promise((resolve, reject) => {
    write(descriptor, bytes, from, bytes.length - from, null, (error, written) => {
      if (error !== null) reject(error);
      else if (from + written === bytes.length) resolve();
      else writeAll(descriptor, bytes, from + written).then(resolve, reject);
    });
  });
}

export function readAll(descriptor: number): Buffer {
  const bytes = Buffer.alloc(fstatSync(descriptor).size);
  let length = 0;
  while (length < bytes.length) {
    const read = readSync(descriptor, bytes, length, bytes.length - length, length);
    if (read === 0) break;
    length += read;
  }
  return bytes.subarray(0, length);
}
