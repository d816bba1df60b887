import { readSync, writeSync } from 'node:fs';
import { asciiBytes, sha256, toHex } from '../../core/bytes.ts';
import { SignerStateError } from '../errors.ts';
import type { AuditHead, VerifiedAuditLog } from './audit-log.ts';

// A second, small file that says how far the audit log had come: a log that is put back from a copy, cut or
// emptied does not reach what the anchor says. Two slots, written in turn, so that one is always whole.

const SLOT_BYTES = 256;
const SLOT = /^bootward-anchor-v1 (\d{1,15}) ([0-9a-f]{64}) ([0-9a-f]{64})\n$/;

export const EMPTY_ANCHOR: Uint8Array = asciiBytes(' '.repeat(2 * SLOT_BYTES));

export function encodeSlot({ seq, sha256: hash }: AuditHead): Uint8Array {
  const text = `bootward-anchor-v1 ${seq} ${hash}`;
  return asciiBytes(`${`${text} ${checksum(text)}`.padEnd(SLOT_BYTES - 1)}\n`);
}

export function writeAnchor(descriptor: number, head: AuditHead): void {
  writeSync(descriptor, encodeSlot(head), 0, SLOT_BYTES, (head.seq % 2) * SLOT_BYTES);
}

export function readAnchor(descriptor: number): AuditHead | undefined {
  const bytes = Buffer.alloc(2 * SLOT_BYTES);
  readSync(descriptor, bytes, 0, bytes.length, 0);
  return parseAnchor(bytes);
}

/** The newer of the slots that are whole. */
export function parseAnchor(bytes: Uint8Array): AuditHead | undefined {
  const slots = [0, SLOT_BYTES].flatMap((start) => parseSlot(bytes.subarray(start, start + SLOT_BYTES)));
  return slots.toSorted((a, b) => b.seq - a.seq)[0];
}

/**
 * An anchor may lag behind the log, never the other way round.
 *
 * @throws {SignerStateError} `state-rolled-back`
 */
export function requireNotRolledBack(log: VerifiedAuditLog, anchor: AuditHead | undefined): void {
  const next = log.records[anchor?.seq ?? 0];
  const found = next?.previous ?? log.head.sha256;
  if (anchor === undefined || (anchor.seq <= log.head.seq && found === anchor.sha256)) return;
  throw new SignerStateError(
    'state-rolled-back',
    `the audit log ends at record ${log.head.seq} and the anchor knows record ${anchor.seq} of another history: ` +
      'an older state was put back. Find the newest audit log; docs/signing-service.md, "A lost state", says how to go on without',
  );
}

function parseSlot(bytes: Uint8Array): AuditHead[] {
  const text = Buffer.from(bytes).toString('latin1').replace(/ *\n$/, '\n');
  const [, seq = '', hash = '', check = ''] = SLOT.exec(text) ?? [];
  return check !== '' && check === checksum(`bootward-anchor-v1 ${seq} ${hash}`)
    ? [{ seq: Number(seq), sha256: hash }]
    : [];
}

function checksum(text: string): string {
  return toHex(sha256(asciiBytes(text)));
}
