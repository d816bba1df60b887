/** A PE32+ image as small as the rules allow, for tests: one header of 1024 bytes, then the sections. */
export const TINY_PE = {
  coffHeader: 0x44,
  optionalHeader: 0x58,
  checkSum: 0x58 + 64,
  certificateEntry: 0x58 + 112 + 32,
  sectionTable: 0x58 + 112 + 128,
  headerBytes: 1024,
} as const;

const FILE_ALIGNMENT = 512;

export function buildTinyPe(
  sections: readonly { name: string; data: Uint8Array }[] = [
    { name: '.text', data: Buffer.alloc(700, 0x90) },
    { name: '.data', data: Buffer.alloc(10, 1) },
  ],
): Buffer {
  const header = Buffer.alloc(TINY_PE.headerBytes);
  header.write('MZ');
  header.writeUInt32LE(0x40, 0x3c);
  header.write('PE\0\0', 0x40, 'latin1');
  header.writeUInt16LE(0x8664, TINY_PE.coffHeader);
  header.writeUInt16LE(sections.length, TINY_PE.coffHeader + 2);
  header.writeUInt32LE(0x12345678, TINY_PE.coffHeader + 4);
  header.writeUInt16LE(112 + 128, TINY_PE.coffHeader + 16);
  header.writeUInt16LE(0x206, TINY_PE.coffHeader + 18);
  header.writeUInt16LE(0x20b, TINY_PE.optionalHeader);
  header.writeUInt32LE(512, TINY_PE.optionalHeader + 32);
  header.writeUInt32LE(FILE_ALIGNMENT, TINY_PE.optionalHeader + 36);
  header.writeUInt32LE(TINY_PE.headerBytes, TINY_PE.optionalHeader + 60);
  header.writeUInt16LE(10, TINY_PE.optionalHeader + 68);
  header.writeUInt32LE(16, TINY_PE.optionalHeader + 108);
  return appendSections(header, sections);
}

function appendSections(header: Buffer, sections: readonly { name: string; data: Uint8Array }[]): Buffer {
  const parts: Uint8Array[] = [header];
  let fileOffset: number = TINY_PE.headerBytes;
  let address = 0x1000;
  for (const [index, { name, data }] of sections.entries()) {
    const at = TINY_PE.sectionTable + index * 40;
    const raw = Buffer.alloc(Math.ceil(data.length / FILE_ALIGNMENT) * FILE_ALIGNMENT);
    raw.set(data);
    header.write(name, at, 'latin1');
    header.writeUInt32LE(data.length, at + 8);
    header.writeUInt32LE(address, at + 12);
    header.writeUInt32LE(raw.length, at + 16);
    header.writeUInt32LE(fileOffset, at + 20);
    header.writeUInt32LE(0x4000_0040, at + 36);
    parts.push(raw);
    fileOffset += raw.length;
    address += Math.ceil(Math.max(data.length, 1) / 0x1000) * 0x1000;
  }
  header.writeUInt32LE(address, TINY_PE.optionalHeader + 56);
  return Buffer.concat(parts);
}
