import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  channelHashOf,
  encodeFloorRecord,
  FLOOR_VERSIONS,
  type FloorRecord,
  FloorRecordError,
  parseFloorRecord,
} from '../../../src/attestation/floor/floor-record.ts';
import { concatBytes, fromHex, toHex } from '../../../src/core/bytes.ts';

const RECORD: FloorRecord = {
  channelHash: channelHashOf('demo'),
  root: 1,
  targets: 2,
  snapshot: 300,
  channel: 4,
  signedAtSeconds: 1_800_000_000,
};
const BYTES = encodeFloorRecord(RECORD);
const changed = (offset: number, ...bytes: number[]) => {
  const copy = new Uint8Array(BYTES);
  copy.set(bytes, offset);
  return copy;
};
const version = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER });
const record = fc.record({
  channelHash: fc.uint8Array({ minLength: 16, maxLength: 16 }).map(toHex),
  root: version,
  targets: version,
  snapshot: version,
  channel: version,
  signedAtSeconds: fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER }),
});

describe('a floor record', () => {
  it('has the layout of docs/protocol.md', () => {
    const numbers = '00000000000000010000000000000002000000000000012c0000000000000004000000006b49d200';
    expect(toHex(BYTES)).toBe(`627766312a97516c354b68848cdbd8f54a226a0a${numbers}00000000`);
  });

  it('round-trips, whatever it holds', () => {
    fc.assert(
      fc.property(record, (any) => {
        const bytes = encodeFloorRecord(any);
        expect(bytes).toHaveLength(64);
        expect(parseFloorRecord(bytes)).toEqual(any);
      }),
    );
  });

  it('has one spelling: what parses is what would be written', () => {
    fc.assert(
      fc.property(record, fc.nat({ max: 511 }), (any, bit) => {
        const bytes = new Uint8Array(encodeFloorRecord(any));
        bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const isContent = bit >= 32 && bit < 480;
        try {
          const read = parseFloorRecord(bytes);
          expect(isContent).toBe(true);
          expect(read).not.toEqual(any);
          expect(encodeFloorRecord(read)).toEqual(Buffer.from(bytes));
        } catch (cause) {
          expect(cause).toBeInstanceOf(FloorRecordError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('is refused when cut off anywhere, or longer', () => {
    for (let length = 0; length < BYTES.length; length += 1)
      expect(() => parseFloorRecord(BYTES.subarray(0, length))).toThrow(FloorRecordError);
    expect(() => parseFloorRecord(concatBytes(BYTES, fromHex('00')))).toThrow(FloorRecordError);
  });

  it('is refused with any bit of its name, its end or its highest numbers flipped', () => {
    const fixed = [0, 1, 2, 3, 60, 61, 62, 63, 20, 28, 36, 44, 52];
    for (const offset of fixed)
      for (let bit = 0; bit < 8; bit += 1)
        expect(() => parseFloorRecord(changed(offset, (BYTES[offset] ?? 0) ^ (1 << bit)))).toThrow(
          FloorRecordError,
        );
  });

  it.each(FLOOR_VERSIONS)('R11 refuses 0 and 2^53 as version of %s, and takes 2^53 - 1', (role) => {
    const offset = 20 + 8 * FLOOR_VERSIONS.indexOf(role);
    expect(() => parseFloorRecord(changed(offset, 0, 0, 0, 0, 0, 0, 0, 0))).toThrow(/^0 is not between 1/);
    expect(() => parseFloorRecord(changed(offset, 0, 0x20, 0, 0, 0, 0, 0, 0))).toThrow(FloorRecordError);
    expect(() => parseFloorRecord(changed(offset, ...new Array<number>(8).fill(0xff)))).toThrow(
      /^18446744073709551615 is not between 1 and 9007199254740991$/,
    );
    const highest = parseFloorRecord(changed(offset, 0, 0x1f, ...new Array<number>(6).fill(0xff)));
    expect(highest[role]).toBe(Number.MAX_SAFE_INTEGER);
  });

  it('has no signed time when it is 0', () => {
    expect(parseFloorRecord(changed(52, 0, 0, 0, 0, 0, 0, 0, 0)).signedAtSeconds).toBe(0);
  });
});
