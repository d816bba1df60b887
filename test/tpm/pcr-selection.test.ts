import { describe, expect, test } from 'vitest';
import { fromHex, toHex } from '../../src/core/bytes.ts';
import { SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import { SHA1 } from '../../src/tpm/algorithms.ts';
import { encodePcrSelections, readPcrSelections } from '../../src/tpm/pcr-selection.ts';
import { StructureReader } from '../../src/tpm/reader.ts';

const read = (hex: string) => readPcrSelections(new StructureReader(fromHex(hex), 'selections'));
const count = (selections: number) => selections.toString(16).padStart(8, '0');
const ONE = '000b03010280';

describe('TPML_PCR_SELECTION', () => {
  test('is read in its order, with duplicates and empty masks, and written as it was', () => {
    const hex = `00000004${ONE}000403ffffff${ONE}000b03000000`;
    const selections = read(hex);
    expect(selections).toEqual([
      { hash: SHA256, pcrs: [0, 9, 23] },
      { hash: SHA1, pcrs: Array.from({ length: 24 }, (_, pcr) => pcr) },
      { hash: SHA256, pcrs: [0, 9, 23] },
      { hash: SHA256, pcrs: [] },
    ]);
    expect(toHex(encodePcrSelections(selections))).toBe(hex);
  });

  test('may be empty', () => {
    expect(read('00000000')).toEqual([]);
  });

  test.each(Array.from({ length: 24 }, (_, pcr) => pcr))('has PCR %d in a bit of its own', (pcr) => {
    const written = encodePcrSelections([{ hash: SHA256, pcrs: [pcr] }]);
    const mask = [0, 0, 0];
    mask[pcr >> 3] = 1 << (pcr & 7);
    expect(toHex(written)).toBe(`00000001000b03${toHex(Uint8Array.from(mask))}`);
    expect(read(toHex(written))).toEqual([{ hash: SHA256, pcrs: [pcr] }]);
  });

  test('has sixteen selections at most', () => {
    expect(read(count(16) + ONE.repeat(16))).toHaveLength(16);
    expect(() => read(count(17) + ONE.repeat(17))).toThrow(
      expect.objectContaining({
        code: 'invalid-value',
        message: 'selections: 17 PCR selections, at most 16',
      }),
    );
  });

  test('Q24 Q25 has masks of three or four bytes', () => {
    expect(read('00000001000b0401028000')).toEqual([{ hash: SHA256, pcrs: [0, 9, 23] }]);
    for (const mask of ['00', '020102', '050102800000'])
      expect(() => read(`00000001000b${mask}`)).toThrow(
        expect.objectContaining({
          code: 'invalid-value',
          message: `selections: sizeofSelect ${Number(mask.slice(0, 2))}`,
        }),
      );
  });

  test('selects no PCR that a PC Client TPM lacks', () => {
    expect(() => read('00000001000b0403000001')).toThrow(
      expect.objectContaining({ code: 'invalid-value', message: 'selections: PCR 24 is selected' }),
    );
  });

  test('names no bank that is unknown', () => {
    expect(() => read('00000001ffff03000000')).toThrow(expect.objectContaining({ code: 'unsupported' }));
  });
});
