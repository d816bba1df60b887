import { describe, expect, it } from 'vitest';
import {
  EMPTY_ANCHOR,
  encodeSlot,
  parseAnchor,
  requireNotRolledBack,
} from '../../src/boot-signer/audit/anchor.ts';
import { EMPTY_HEAD, encodeRecord, verifyAuditLog } from '../../src/boot-signer/audit/audit-log.ts';
import { concatBytes } from '../../src/core/bytes.ts';

function logOf(count: number) {
  let head = EMPTY_HEAD;
  const lines: Uint8Array[] = [];
  for (let number = 1; number <= count; number += 1) {
    const record = encodeRecord(head, 1_000 * number, { type: 'test', number, text: 'é "\\' });
    lines.push(record.line);
    head = record.head;
  }
  return { lines, bytes: concatBytes(...lines), head };
}

describe('an audit log', () => {
  it('is whole when each record follows the one before', () => {
    const { bytes, head } = logOf(3);
    expect(verifyAuditLog(bytes)).toMatchObject({ head, bytes: bytes.length, tornBytes: 0 });
    expect(verifyAuditLog(new Uint8Array())).toMatchObject({ head: EMPTY_HEAD, records: [] });
  });

  it('cut at any byte is what was whole before, and a torn rest', () => {
    const { bytes, lines } = logOf(2);
    const first = lines[0]?.length ?? 0;
    for (let length = 0; length < bytes.length; length += 1) {
      const { records, tornBytes } = verifyAuditLog(bytes.subarray(0, length));
      expect({ records: records.length, tornBytes }).toEqual(
        length < first ? { records: 0, tornBytes: length } : { records: 1, tornBytes: length - first },
      );
    }
  });

  it('with any byte changed does not verify, or lacks the changed end', () => {
    const { bytes, head } = logOf(3);
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Uint8Array.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      let found: string | undefined;
      try {
        found = verifyAuditLog(changed).head.sha256;
      } catch {
        continue;
      }
      expect(found).not.toBe(head.sha256);
    }
  });

  it.each<[string, (lines: Uint8Array[]) => Uint8Array[]]>([
    ['left out', (lines) => lines.toSpliced(1, 1)],
    ['doubled', (lines) => lines.toSpliced(1, 0, ...lines.slice(1, 2))],
    ['moved', (lines) => [...lines.slice(0, 1), ...lines.slice(1).reverse()]],
  ])('names the place where a record was %s', (_what, change) => {
    const damaged = concatBytes(...change(logOf(4).lines));
    expect(() => verifyAuditLog(damaged)).toThrow(/damaged at record [23]:/);
  });
});

describe('the anchor', () => {
  it('is read when one of its slots is torn: then the one before counts', () => {
    const { lines } = logOf(2);
    const older = verifyAuditLog(lines[0] ?? new Uint8Array()).head;
    const newer = verifyAuditLog(concatBytes(...lines)).head;
    const anchor = Buffer.from(EMPTY_ANCHOR);
    anchor.set(encodeSlot(older), 256);
    anchor.set(encodeSlot(newer), 0);
    expect(parseAnchor(anchor)).toEqual(newer);
    anchor[30] = 0x41;
    expect(parseAnchor(anchor)).toEqual(older);
    expect(parseAnchor(EMPTY_ANCHOR)).toBeUndefined();
  });

  it('may lag behind the log, never run ahead of it, and is of this very log', () => {
    const { lines, bytes, head } = logOf(3);
    const log = verifyAuditLog(bytes);
    const shorter = verifyAuditLog(concatBytes(...lines.slice(0, 2)));
    requireNotRolledBack(log, head);
    requireNotRolledBack(log, shorter.head);
    expect(() => requireNotRolledBack(shorter, head)).toThrow(
      expect.objectContaining({ code: 'state-rolled-back' }),
    );
    const other = { seq: 2, sha256: 'f'.repeat(64) };
    expect(() => requireNotRolledBack(log, other)).toThrow(
      expect.objectContaining({ code: 'state-rolled-back' }),
    );
  });
});
