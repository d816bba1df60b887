import { execFileSync, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import { requireBootImage } from '../../../src/signing/pi/boot-image.ts';
import { type BootFile, writeFatImage } from '../../../src/signing/pi/fat-image.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { readFatImage } from './fat-reader.ts';

const invalid = expect.objectContaining({ code: 'boot-files-invalid' });
const file = (path: string, content: string | Buffer = path): BootFile => ({
  path,
  data: Buffer.from(content),
});
const contents = (files: readonly BootFile[]) =>
  new Map(files.map(({ path, data }) => [path, Buffer.from(data).toString('latin1')]));

const FILES = [
  file('config.txt'),
  file('KERNEL8.IMG', Buffer.alloc(300_000, 5)),
  file('bcm2712-rpi-5-b.dtb', Buffer.alloc(513, 6)),
  file('bcm2712-rpi-cm5-cm5io.dtb'),
  file('bcm271~1.dtb'),
  file('empty', ''),
  file('exactly13char'),
  ...Array.from({ length: 100 }, (_, index) => file(`overlays/a-long-overlay-name-${index}.dtbo`)),
  file('overlays/deep/er/name.with.dots.txt'),
];

describe('writeFatImage', () => {
  test('writes what a reader by the specification reads back', () => {
    const image = writeFatImage(FILES);
    expect(readFatImage(image)).toEqual(contents(FILES));
    expect(() => requireBootImage(image)).not.toThrow();
  });

  test('gives the same bytes whatever the order, those that fsck.fat 4.2 and mtools 4.0.32 took', () => {
    const image = writeFatImage(FILES);
    expect(Buffer.from(writeFatImage([...FILES].reverse())).equals(image)).toBe(true);
    expect(toHex(sha256(image))).toBe('bef86fedd9006616604160876246aa9008973d8725e84f5213aa2f5647367b3a');
  });

  test.skipIf(spawnSync('fsck.fat', ['--help']).error !== undefined)(
    'writes what fsck.fat accepts',
    async () => {
      const path = join(await temporaryFolder(), 'boot.img');
      for (const bytes of [0, 40_000_000, 90_000_000]) {
        writeFileSync(path, writeFatImage([...FILES, file('large', Buffer.alloc(bytes))]));
        execFileSync('fsck.fat', ['-n', path]);
      }
    },
  );

  test('takes larger clusters for more than 32 MB', () => {
    const files = [file('large', Buffer.alloc(40_000_000, 7)), file('small')];
    const image = Buffer.from(writeFatImage(files));
    expect(image.readUInt8(13)).toBe(2);
    expect(readFatImage(image).get('small')).toBe('small');
  });

  test.each([
    ['no files', []],
    ['a name twice', [file('a'), file('a')]],
    ['names that differ in case only', [file('Config.txt'), file('config.txt')]],
    ['a file that is a folder too', [file('a'), file('a/b')]],
    ['a folder that is a file too', [file('a/b'), file('a')]],
    ['an absolute path', [file('/a')]],
    ['a path out of the image', [file('../a')]],
    ['a name with a colon', [file('a:b')]],
    ['a name that ends with a dot', [file('a.')]],
    ['a name that is not ASCII', [file('käse')]],
    ['a name of 256 characters', [file('a'.repeat(256))]],
    [
      'more files in the top folder than it has room for',
      Array.from({ length: 300 }, (_, n) => file(`f-${n}`)),
    ],
    ['more than the bootloader loads', [file('large', Buffer.alloc(96 * 1024 * 1024))]],
  ])('refuses %s', (_, files) => {
    expect(() => writeFatImage(files)).toThrow(invalid);
  });
});
