import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes, EMPTY, toHex } from '../../src/core/bytes.ts';
import { SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import { kdfa, kdfe } from '../../src/tpm/kdf.ts';
import { u32 } from '../../src/tpm/writer.ts';

const KEY = new Uint8Array(32).fill(1);
const U = asciiBytes('party U');
const V = asciiBytes('party V');
const LABEL = asciiBytes('STORAGE\0');

// The formulas of Part 1, sections 11.4.10.2 and 11.4.10.3, block by block.
const kdfaBlock = (counter: number, bits: number) =>
  createHmac('sha256', KEY)
    .update(concatBytes(u32(counter), LABEL, U, V, u32(bits)))
    .digest();
const kdfeBlock = (counter: number) =>
  createHash('sha256')
    .update(concatBytes(u32(counter), KEY, LABEL, U, V))
    .digest();
const deriveA = (bits: number) =>
  toHex(kdfa({ hash: SHA256, key: KEY, label: 'STORAGE', contextU: U, contextV: V, bits }));
const deriveE = (bits: number) =>
  toHex(kdfe({ hash: SHA256, z: KEY, label: 'STORAGE', partyU: U, partyV: V, bits }));

describe('KDFa and KDFe', () => {
  it('give the first bytes of one block', () => {
    expect(deriveA(128)).toBe(toHex(kdfaBlock(1, 128).subarray(0, 16)));
    expect(deriveE(128)).toBe(toHex(kdfeBlock(1).subarray(0, 16)));
  });

  it('count blocks from 1 and join them', () => {
    expect(deriveA(512)).toBe(toHex(concatBytes(kdfaBlock(1, 512), kdfaBlock(2, 512))));
    expect(deriveE(264)).toBe(toHex(concatBytes(kdfeBlock(1), kdfeBlock(2)).subarray(0, 33)));
  });

  it.each([521, 250, 249])('clear the unused high bits when %d bits are no whole number of bytes', (bits) => {
    const spare = 8 * Math.ceil(bits / 8) - bits;
    const whole = concatBytes(kdfeBlock(1), kdfeBlock(2), kdfeBlock(3)).subarray(0, Math.ceil(bits / 8));
    const expected = Uint8Array.from(whole);
    expected.set([(whole.at(0) ?? 0) & (0xff >> spare)]);
    expect(deriveE(bits)).toBe(toHex(expected));
    expect(Number.parseInt(deriveA(bits).slice(0, 2), 16)).toBeLessThan(2 ** (8 - spare));
  });

  it('depend on every input', () => {
    const given = { hash: SHA256, key: KEY, label: 'STORAGE', contextU: U, contextV: V, bits: 256 };
    const changed = [
      { key: U },
      { label: 'INTEGRITY' },
      { contextU: V },
      { contextV: U },
      { contextU: EMPTY },
      { bits: 255 },
    ];
    const results = [given, ...changed.map((change) => ({ ...given, ...change }))].map((input) =>
      toHex(kdfa(input)),
    );
    expect(new Set(results).size).toBe(results.length);
  });
});
