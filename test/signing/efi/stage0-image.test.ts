import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import { parsePe } from '../../../src/signing/efi/pe.ts';
import { composeStage0, MAX_STAGE0_BYTES } from '../../../src/signing/efi/stage0-image.ts';
import { assembleUki } from '../../../src/signing/efi/uki.ts';
import { measureUki } from '../../../src/signing/efi/uki-measurement.ts';
import { buildTinyPe, TINY_PE } from './tiny-pe.ts';

const base = {
  kernel: Buffer.from('a kernel'),
  initramfs: Buffer.from('a compressed archive'),
  stub: buildTinyPe(),
  osRelease: Buffer.from('ID=bootward\n'),
};
const sections = { ...base, cmdline: 'quiet' };
const config = { 'server.json': Buffer.from('{}'), 'ca.pem': Buffer.from('CA') };
const compose = (over: Partial<Parameters<typeof composeStage0>[0]> = {}) =>
  composeStage0({ base, config, cmdline: 'console=ttyS0', ...over });
const invalid = expect.objectContaining({ code: 'uki-invalid' });

describe('assembleUki', () => {
  test('appends .osrel .cmdline .initrd .linux on page boundaries behind the stub', () => {
    const image = parsePe(assembleUki({ stub: base.stub, sections }));
    const added = image.sections.slice(2);
    expect(added.map(({ name }) => name)).toEqual(['.osrel', '.cmdline', '.initrd', '.linux']);
    expect(Buffer.from(added[1]?.data ?? '').toString('latin1')).toBe('quiet\0');
    for (const { virtualAddress, fileOffset } of added)
      expect([virtualAddress % 4096, fileOffset % image.fileAlignment]).toEqual([0, 0]);
    const last = added.at(-1);
    expect(image.sizeOfImage).toBeGreaterThanOrEqual(
      (last?.virtualAddress ?? Infinity) + (last?.virtualSize ?? 0),
    );
  });

  test('does not depend on the time stamp, the checksum and the symbols of the stub', () => {
    const other = Buffer.concat([buildTinyPe(), Buffer.from('symbol table')]);
    other.writeUInt32LE(99, TINY_PE.coffHeader + 4);
    other.writeUInt32LE(2560, TINY_PE.coffHeader + 8);
    other.writeUInt32LE(2, TINY_PE.coffHeader + 12);
    other.writeUInt32LE(7, TINY_PE.checkSum);
    const [a, b] = [base.stub, other].map((stub) => Buffer.from(assembleUki({ stub, sections })));
    expect(b?.equals(a ?? Buffer.alloc(0))).toBe(true);
  });

  test('leaves its input alone', () => {
    const stub = buildTinyPe();
    assembleUki({ stub, sections });
    expect(stub.equals(buildTinyPe())).toBe(true);
  });

  test.each([
    ['an empty section', { ...sections, kernel: new Uint8Array(0) }],
    ['an empty command line', { ...sections, cmdline: '' }],
    ['a command line with a line break', { ...sections, cmdline: 'a\nb' }],
    ['a command line with NUL', { ...sections, cmdline: 'a\0b' }],
  ])('refuses %s', (_, bad) => {
    expect(() => assembleUki({ stub: base.stub, sections: bad })).toThrow(invalid);
  });

  test('refuses a stub that is an image already, or whose header is full', () => {
    expect(() => assembleUki({ stub: assembleUki({ stub: base.stub, sections }), sections })).toThrow(
      invalid,
    );
    const many = Array.from({ length: 17 }, (_, index) => ({ name: `.s${index}`, data: Buffer.from('x') }));
    expect(() => assembleUki({ stub: buildTinyPe(many), sections })).toThrow(invalid);
  });
});

describe('measureUki', () => {
  test('predicts PCR 11 in the order of systemd-stub, name with NUL and then data', () => {
    const image = assembleUki({ stub: base.stub, sections });
    let pcr: Uint8Array = new Uint8Array(32);
    for (const event of [
      '.linux\0',
      'a kernel',
      '.osrel\0',
      'ID=bootward\n',
      '.cmdline\0',
      'quiet\0',
      '.initrd\0',
    ])
      pcr = sha256(pcr, sha256(Buffer.from(event)));
    pcr = sha256(pcr, sha256(base.initramfs));
    expect(toHex(measureUki(image).pcr11)).toBe(toHex(pcr));
  });

  test('refuses an image with a section twice, cut off, or missing', () => {
    expect(() => measureUki(base.stub)).toThrow(invalid);
    const four = ['.linux', '.osrel', '.cmdline', '.initrd'].map((name) => ({
      name,
      data: Buffer.from('x'),
    }));
    expect(() => measureUki(buildTinyPe(four))).not.toThrow();
    expect(() => measureUki(buildTinyPe([...four, { name: '.linux', data: Buffer.from('y') }]))).toThrow(
      invalid,
    );
    const longer = buildTinyPe(four);
    longer.writeUInt32LE(1000, TINY_PE.sectionTable + 8);
    expect(() => measureUki(longer)).toThrow(invalid);
  });
});

describe('composeStage0', () => {
  test('puts the configuration as an archive in front of the base initramfs', () => {
    const { image } = compose();
    const initrd = parsePe(image).sections.find(({ name }) => name === '.initrd')?.data ?? new Uint8Array(0);
    const archive = initrd.subarray(0, initrd.length - base.initramfs.length);
    expect(archive.length % 4).toBe(0);
    expect(Buffer.from(initrd.subarray(archive.length)).equals(base.initramfs)).toBe(true);
    const listed = execFileSync('cpio', ['-t', '--quiet'], { input: archive }).toString();
    expect(listed).toBe('etc\netc/bootward\netc/bootward/ca.pem\netc/bootward/server.json\n');
  });

  test('gives the same bytes and the same prediction twice', () => {
    const [a, b] = [compose(), compose({ config: Object.fromEntries(Object.entries(config).reverse()) })];
    expect(Buffer.from(a.image).equals(b.image)).toBe(true);
    expect(a.pcr11).toEqual(b.pcr11);
  });

  test('says the digest of every section that is measured', () => {
    expect(compose().sections.map(({ name }) => name)).toEqual(['.linux', '.osrel', '.cmdline', '.initrd']);
    expect(toHex(compose().sections[0]?.sha256 ?? new Uint8Array(0))).toBe(toHex(sha256(base.kernel)));
  });

  test('refuses a configuration file whose name is a path, and an image above 24 MiB', () => {
    expect(() => compose({ config: { '../init': Buffer.from('x') } })).toThrow(invalid);
    const initramfs = Buffer.alloc(MAX_STAGE0_BYTES);
    expect(() => compose({ base: { ...base, initramfs } })).toThrow(invalid);
  });
});
