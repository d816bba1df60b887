import { canonicalize } from '@tufjs/canonical-json';
import { sha256, toHex, utf8Bytes } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { SignerStateError } from '../errors.ts';

// The audit log: JSON lines, each a record in canonical form and a line feed:
//
//   {"event": {"type": ...}, "previous": hex, "seq": 1, "time": "2026-11-21T12:00:00.000Z"}
//
// `previous` is the SHA-256 of the record before without its line feed, for the first one 64 zeros.

export interface AuditRecord {
  readonly seq: number;
  readonly time: string;
  readonly previous: string;
  readonly event: JsonObject;
}

/** Where a log stands: whoever keeps this elsewhere can later tell a log that was cut or rewritten. */
export interface AuditHead {
  readonly seq: number;
  /** SHA-256 of the last record. */
  readonly sha256: string;
}

export interface VerifiedAuditLog {
  readonly records: readonly AuditRecord[];
  readonly head: AuditHead;
  /** Length of the whole records. */
  readonly bytes: number;
  /** Bytes of a last line that was cut short: a crash while it was written. */
  readonly tornBytes: number;
}

export const EMPTY_HEAD: AuditHead = { seq: 0, sha256: '0'.repeat(64) };
const LINE_FEED = 0x0a;
const MAX_RECORD_BYTES = 8 * 1024 * 1024;
const TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** The line of a record, its line feed included, and the head after it. */
export function encodeRecord(
  head: AuditHead,
  nowMs: number,
  event: JsonObject,
): { line: Uint8Array; head: AuditHead } {
  const seq = head.seq + 1;
  const record = { seq, time: new Date(nowMs).toISOString(), previous: head.sha256, event };
  const text = canonicalize(record);
  return { line: utf8Bytes(`${text}\n`), head: { seq, sha256: toHex(sha256(utf8Bytes(text))) } };
}

/**
 * Every record follows the one before it. What comes behind the last line feed is no record: it is reported as
 * torn, since a crash leaves that.
 *
 * @throws {SignerStateError} `audit-log-damaged`, naming the record
 */
export function verifyAuditLog(bytes: Uint8Array): VerifiedAuditLog {
  const records: AuditRecord[] = [];
  let head = EMPTY_HEAD;
  let start = 0;
  for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, start)) {
    const line = bytes.subarray(start, end);
    const record = readRecord(line, head);
    records.push(record);
    head = { seq: record.seq, sha256: toHex(sha256(line)) };
    start = end + 1;
  }
  return { records, head, bytes: start, tornBytes: bytes.length - start };
}

function readRecord(line: Uint8Array, head: AuditHead): AuditRecord {
  const seq = head.seq + 1;
  try {
    const value = parseStrictJson(line, { maxBytes: MAX_RECORD_BYTES });
    if (!isJsonObject(value)) throw new Error('it is no object');
    const { event, previous, time } = value;
    if (value.seq !== seq) throw new Error(`its number is ${String(value.seq)}`);
    if (previous !== head.sha256) throw new Error('it does not follow the record before it');
    if (typeof time !== 'string' || !TIME.test(time)) throw new Error('"time" is no time');
    if (!isJsonObject(event) || typeof event.type !== 'string') throw new Error('"event" is none');
    const record = { seq, time, previous, event };
    if (canonicalize(record) !== Buffer.from(line).toString('utf8'))
      throw new Error('its form is not canonical');
    return record;
  } catch (cause) {
    throw new SignerStateError(
      'audit-log-damaged',
      `the audit log is damaged at record ${seq}: ${messageOf(cause)}`,
      { cause },
    );
  }
}
