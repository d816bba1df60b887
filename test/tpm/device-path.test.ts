import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, EMPTY, fromHex } from '../../src/core/bytes.ts';
import { formatDevicePath } from '../../src/tpm/device-path.ts';
import { TpmFormatError } from '../../src/tpm/errors.ts';
import { StructureReader } from '../../src/tpm/reader.ts';

const format = (bytes: Uint8Array) => formatDevicePath(new StructureReader(bytes, 'test', 'little'));
const END = fromHex('7fff0400');
const node = (type: number, subType: number, body: string | Uint8Array = EMPTY) => {
  const bytes = typeof body === 'string' ? fromHex(body.replaceAll(' ', '')) : body;
  const length = bytes.length + 4;
  return concatBytes(Uint8Array.of(type, subType, length & 0xff, length >> 8), bytes);
};
const GUID = '28732ac11ff8d211ba4b00a0c93ec93b';
const GUID_TEXT = 'c12a7328-f81f-11d2-ba4b-00a0c93ec93b';

describe('a device path as text', () => {
  it.each<[string, Uint8Array]>([
    ['PciRoot(0x0)', node(2, 1, 'd041030a 00000000')],
    ['PcieRoot(0x1)', node(2, 1, 'd041080a 01000000')],
    ['Acpi(0x50141d0,0x0)', node(2, 1, 'd0410105 00000000')],
    ['Pci(0x1f,0x2)', node(1, 1, '021f')],
    [`VenHw(${GUID_TEXT})`, node(1, 4, GUID)],
    [`VenHw(${GUID_TEXT},abcd)`, node(1, 4, `${GUID}abcd`)],
    ['Scsi(0x1,0x0)', node(3, 2, '01000000')],
    ['USB(0x2,0x1)', node(3, 5, '0201')],
    ['MAC(525400123456,0x1)', node(3, 11, `525400123456${'00'.repeat(26)}01`)],
    [`MAC(525400123456${'00'.repeat(26)},0x20)`, node(3, 11, `525400123456${'00'.repeat(26)}20`)],
    ['IPv4(10.0.0.1,0x6,DHCP,10.0.0.2)', node(3, 12, '0a000002 0a000001 0000 0000 0600 00')],
    [
      'IPv4(10.0.0.1,0x6,Static,10.0.0.2,10.0.0.3,255.0.0.0)',
      node(3, 12, '0a000002 0a000001 0000 0000 0600 01 0a000003 ff000000'),
    ],
    [
      'IPv6(fe80:0000:0000:0000:0000:0000:0000:0001,0000:0000:0000:0000:0000:0000:0000:0000)',
      node(3, 13, `${'00'.repeat(16)} fe80${'00'.repeat(13)}01 00000000 0600 00 40 ${'00'.repeat(16)}`),
    ],
    ['Sata(0x1,0xffff,0x0)', node(3, 18, '0100ffff0000')],
    ['NVMe(0x1,0011223344556677)', node(3, 23, '01000000 0011223344556677')],
    ['Uri(https://boot.example/a.efi)', node(3, 24, Buffer.from('https://boot.example/a.efi'))],
    [
      `HD(1,GPT,${GUID_TEXT},0x800,0x1000)`,
      node(4, 1, `01000000 0008000000000000 0010000000000000 ${GUID} 02 02`),
    ],
    [
      'HD(2,MBR,78563412,0x1,0x2)',
      node(4, 1, `02000000 0100000000000000 0200000000000000 78563412${'00'.repeat(12)} 01 01`),
    ],
    [`VenMedia(${GUID_TEXT})`, node(4, 3, GUID)],
    ['\\EFI\\A.EFI', node(4, 4, Buffer.from('\\EFI\\A.EFI\0', 'utf16le'))],
    [`FvFile(${GUID_TEXT})`, node(4, 6, GUID)],
    [`Fv(${GUID_TEXT})`, node(4, 7, GUID)],
    ['Offset(0x1,0x2)', node(4, 8, '00000000 0100000000000000 0200000000000000')],
    ['BBS(0x2,disk)', node(5, 1, '02000000 6469736b00')],
    ['...', node(3, 99, '00')],
  ])('%s', (text, bytes) => {
    expect(format(concatBytes(bytes, END))).toBe(text);
  });

  it('joins nodes and instances', () => {
    const pci = node(1, 1, '0004');
    expect(format(concatBytes(pci, pci, END))).toBe('Pci(0x4,0x0)/Pci(0x4,0x0)');
    expect(format(concatBytes(pci, node(0x7f, 1), pci, END))).toBe('Pci(0x4,0x0),Pci(0x4,0x0)');
    expect(format(END)).toBe('');
  });

  it.each<[string, Uint8Array]>([
    ['no bytes', EMPTY],
    ['no end', node(1, 1, '0004')],
    ['a node shorter than its header', fromHex('01010300')],
    ['a node longer than the path', concatBytes(fromHex('0101ffff'), END)],
    ['a node with a byte too few', concatBytes(node(1, 1, '00'), END)],
    ['a node with a byte too many', concatBytes(node(1, 1, '000400'), END)],
    ['33 nodes', concatBytes(...Array.from({ length: 33 }, () => node(1, 1, '0004')), END)],
  ])('refuses %s', (_name, bytes) => {
    expect(() => format(bytes)).toThrow(TpmFormatError);
  });

  it('ends with text or our error, for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          expect(format(bytes).length).toBeLessThan(2000);
        } catch (cause) {
          expect(cause).toBeInstanceOf(TpmFormatError);
        }
      }),
    );
  });
});
