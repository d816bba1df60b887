import { describe, expect, test } from 'vitest';
import { EfiError } from '../../../src/signing/efi/efi-error.ts';
import { endOfSections, parsePe, stripSignatures } from '../../../src/signing/efi/pe.ts';
import { buildTinyPe, TINY_PE } from './tiny-pe.ts';

const malformed = expect.objectContaining({ code: 'pe-malformed' });

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = buildTinyPe();
  change(bytes);
  return bytes;
}

function refusal(bytes: Uint8Array): string {
  try {
    parsePe(bytes);
    return 'accepted';
  } catch (error) {
    return error instanceof EfiError ? error.code : 'another error';
  }
}

describe('parsePe', () => {
  test('reads sections without the padding that the file gives them', () => {
    const image = parsePe(buildTinyPe());
    expect(image.sections.map(({ name, virtualSize, fileSize }) => [name, virtualSize, fileSize])).toEqual([
      ['.text', 700, 1024],
      ['.data', 10, 512],
    ]);
    expect(image.sections[1]?.data).toEqual(Buffer.alloc(10, 1));
    expect(endOfSections(image)).toBe(1024 + 1024 + 512);
  });

  test('refuses a file cut at any byte of its header or sections', () => {
    const bytes = buildTinyPe();
    const codes = new Set<string>();
    for (let length = 0; length < bytes.length; length += 1) codes.add(refusal(bytes.subarray(0, length)));
    expect([...codes]).toEqual(['pe-malformed']);
  });

  test.each<[string, (bytes: Buffer) => void]>([
    ['no MZ', (b) => b.write('ZM')],
    ['a PE header outside the file', (b) => b.writeUInt32LE(0xffff_fff0, 0x3c)],
    ['PE32 instead of PE32+', (b) => b.writeUInt16LE(0x10b, TINY_PE.optionalHeader)],
    ['no sections', (b) => b.writeUInt16LE(0, TINY_PE.coffHeader + 2)],
    ['more sections than there is room for', (b) => b.writeUInt16LE(97, TINY_PE.coffHeader + 2)],
    ['too few data directories', (b) => b.writeUInt32LE(4, TINY_PE.optionalHeader + 108)],
    ['data directories beyond the optional header', (b) => b.writeUInt32LE(17, TINY_PE.optionalHeader + 108)],
    ['an alignment of 3', (b) => b.writeUInt32LE(3, TINY_PE.optionalHeader + 36)],
    ['SizeOfHeaders beyond the file', (b) => b.writeUInt32LE(0x10_0000, TINY_PE.optionalHeader + 60)],
    ['SizeOfHeaders inside the section table', (b) => b.writeUInt32LE(256, TINY_PE.optionalHeader + 60)],
    ['a section that overlaps the header', (b) => b.writeUInt32LE(512, TINY_PE.sectionTable + 20)],
    ['a section beyond the file', (b) => b.writeUInt32LE(0x10_0000, TINY_PE.sectionTable + 16)],
    ['sections that overlap in the file', (b) => b.writeUInt32LE(1024, TINY_PE.sectionTable + 40 + 20)],
    ['sections that overlap in memory', (b) => b.writeUInt32LE(0x1010, TINY_PE.sectionTable + 40 + 12)],
    ['an empty section name', (b) => b.fill(0, TINY_PE.sectionTable, TINY_PE.sectionTable + 8)],
    [
      'a certificate table that does not end the file',
      (b) => b.writeUInt32LE(1024, TINY_PE.certificateEntry),
    ],
  ])('refuses %s', (_, change) => {
    expect(() => parsePe(changed(change))).toThrow(malformed);
  });

  test('answers any altered header byte with a value or a refusal of its own', () => {
    const answers = new Set<string>();
    for (let offset = 0; offset < TINY_PE.headerBytes; offset += 1)
      for (const value of [0x00, 0x01, 0x7f, 0x80, 0xff])
        answers.add(refusal(changed((bytes) => bytes.writeUInt8(value, offset))));
    expect([...answers].sort()).toEqual(['accepted', 'pe-malformed']);
  });

  test('refuses a certificate table that overlaps a section', () => {
    const bytes = changed((b) => {
      b.writeUInt32LE(1024, TINY_PE.certificateEntry);
      b.writeUInt32LE(b.length - 1024, TINY_PE.certificateEntry + 4);
    });
    expect(() => parsePe(bytes)).toThrow(malformed);
  });
});

test('stripSignatures cuts the table, zeroes its entry and the checksum, and pads to 8 bytes', () => {
  const plain = buildTinyPe();
  const table = Buffer.alloc(24, 0xaa);
  const signed = Buffer.concat([plain, table]);
  signed.writeUInt32LE(plain.length, TINY_PE.certificateEntry);
  signed.writeUInt32LE(table.length, TINY_PE.certificateEntry + 4);
  signed.writeUInt32LE(0xdeadbeef, TINY_PE.checkSum);
  expect(Buffer.from(stripSignatures(signed)).equals(plain)).toBe(true);
  expect(stripSignatures(Buffer.concat([plain, Buffer.alloc(3)])).length).toBe(plain.length + 8);
});
