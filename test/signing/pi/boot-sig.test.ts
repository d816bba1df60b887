import { execFileSync } from 'node:child_process';
import { createHash, generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createRsaPkcs1Signer } from '../../../src/signing/keys/rsa-pkcs1-signer.ts';
import { LARGE_BOOT_IMAGE_BYTES, requireBootImage } from '../../../src/signing/pi/boot-image.ts';
import {
  createBootSig,
  encodeBootSig,
  parseBootSig,
  verifyBootSig,
} from '../../../src/signing/pi/boot-sig.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import {
  BOOT_SIG,
  BOOT_SIG_2712,
  IMAGE,
  PUBLIC_KEY,
  SIGNATURE_HEX,
  TIME_SECONDS,
} from './boot-sig-vector.ts';

const malformed = expect.objectContaining({ code: 'boot-sig-malformed' });
const otherImage = expect.objectContaining({ code: 'boot-sig-other-image' });
const invalid = expect.objectContaining({ code: 'boot-sig-invalid' });

const recorded = { publicKey: PUBLIC_KEY, sign: async () => Buffer.from(SIGNATURE_HEX, 'hex') };
const rsa = (modulusLength: number) =>
  createRsaPkcs1Signer(generateKeyPairSync('rsa', { modulusLength }).privateKey);
const own = rsa(2048);
const parse = (text: string) => parseBootSig(Buffer.from(text, 'latin1'));
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

describe('createBootSig', () => {
  test('writes byte for byte what rpi-eeprom-digest writes', async () => {
    const given = { image: IMAGE, timeSeconds: TIME_SECONDS, signer: recorded };
    expect(text(await createBootSig(given))).toBe(BOOT_SIG);
    expect(text(await createBootSig({ ...given, targetSoc: '2712' }))).toBe(BOOT_SIG_2712);
  });

  test('writes a signature that openssl verifies', async () => {
    const folder = await temporaryFolder();
    const file = (name: string) => join(folder, name);
    const bootSig = await createBootSig({ image: IMAGE, timeSeconds: 0, signer: own });
    writeFileSync(file('boot.img'), IMAGE);
    writeFileSync(file('key.pem'), own.publicKey.export({ format: 'pem', type: 'spki' }));
    const hex = text(bootSig).split('rsa2048: ')[1]?.trim() ?? '';
    writeFileSync(file('signature'), Buffer.from(hex, 'hex'));
    const args = ['-sha256', '-verify', file('key.pem'), '-signature', file('signature'), file('boot.img')];
    expect(execFileSync('openssl', ['dgst', ...args]).toString()).toBe('Verified OK\n');
    expect(text(bootSig).split('\n')[0]).toBe(createHash('sha256').update(IMAGE).digest('hex'));
  });

  test('gives the same bytes twice', async () => {
    const given = { image: IMAGE, timeSeconds: 7, signer: own };
    expect(await createBootSig(given)).toEqual(await createBootSig(given));
  });

  test('refuses keys that the bootloader does not take', async () => {
    for (const signer of [rsa(3072), { ...own, publicKey: generateKeyPairSync('ed25519').publicKey }])
      await expect(createBootSig({ image: IMAGE, timeSeconds: 0, signer })).rejects.toMatchObject({
        code: 'boot-sig-key',
      });
  });

  test('refuses what a store with a wrong key behind the right name signs, or signs half', async () => {
    for (const sign of [rsa(2048).sign, async () => new Uint8Array(256)])
      await expect(
        createBootSig({ image: IMAGE, timeSeconds: 0, signer: { publicKey: own.publicKey, sign } }),
      ).rejects.toEqual(invalid);
    await expect(
      createBootSig({
        image: IMAGE,
        timeSeconds: 0,
        signer: { ...own, sign: async () => new Uint8Array(9) },
      }),
    ).rejects.toEqual(malformed);
  });
});

describe('parseBootSig', () => {
  test('reads what the script wrote, and writes it again', () => {
    for (const recordedText of [BOOT_SIG, BOOT_SIG_2712]) {
      const bootSig = parse(recordedText);
      expect(text(encodeBootSig(bootSig))).toBe(recordedText);
      verifyBootSig(bootSig, { image: IMAGE, publicKey: PUBLIC_KEY });
    }
    expect(parse(BOOT_SIG)).not.toHaveProperty('targetSoc');
    expect(parse(BOOT_SIG_2712)).toMatchObject({ targetSoc: '2712', timeSeconds: TIME_SECONDS });
  });

  test('refuses a file that was cut, at every byte', () => {
    for (let length = 0; length < BOOT_SIG_2712.length; length++)
      expect(() => parse(BOOT_SIG_2712.slice(0, length)), `${length} bytes`).toThrow(malformed);
  });

  test.each([
    ['more behind it', `${BOOT_SIG}\n`],
    ['a second signature', `${BOOT_SIG}rsa2048: ${SIGNATURE_HEX}\n`],
    ['Windows line ends', BOOT_SIG.replaceAll('\n', '\r\n')],
    ['upper-case digits', BOOT_SIG.toUpperCase()],
    ['another order', BOOT_SIG.replace(/(ts: .*\n)(rsa.*\n)/, '$2$1')],
    ['an unknown line', BOOT_SIG.replace('rsa2048', 'next: 1\nrsa2048')],
    ['a time that is no number', BOOT_SIG.replace('1790000000', '1e9')],
    ['a time with a leading zero', BOOT_SIG.replace('1790000000', '01')],
    ['an unknown chip', BOOT_SIG_2712.replace('2712', '2713')],
    ['a longer signature', BOOT_SIG.replace(/\n$/, '00\n')],
    ['no signature', BOOT_SIG.replace(/rsa2048.*\n/, '')],
  ])('refuses %s', (_, bad) => {
    expect(() => parse(bad)).toThrow(malformed);
  });
});

describe('verifyBootSig', () => {
  test('S20 refuses a boot.sig over another image, with its digest or with ours', async () => {
    const image = Buffer.from('another image');
    const theirs = parseBootSig(await createBootSig({ image, timeSeconds: 0, signer: own }));
    const ours = { image: IMAGE, publicKey: own.publicKey };
    expect(() => verifyBootSig(theirs, ours)).toThrow(otherImage);
    const digest = createHash('sha256').update(IMAGE).digest();
    expect(() => verifyBootSig({ ...theirs, sha256: digest }, ours)).toThrow(invalid);
  });

  test('S20 refuses an image of which one bit was changed after signing', () => {
    const changed = Buffer.from(IMAGE);
    changed.writeUInt8((changed[3] ?? 0) ^ 1, 3);
    const given = { image: changed, publicKey: PUBLIC_KEY };
    expect(() => verifyBootSig(parse(BOOT_SIG), given)).toThrow(otherImage);
  });

  test('refuses a signature by another key', () => {
    const given = { image: IMAGE, publicKey: own.publicKey };
    expect(() => verifyBootSig(parse(BOOT_SIG), given)).toThrow(invalid);
  });
});

describe('requireBootImage', () => {
  const image = (bytes: number) => {
    const disk = Buffer.alloc(bytes);
    disk.writeUInt16LE(0xaa55, 510);
    return disk;
  };

  test('takes whole sectors with a boot signature', () => {
    expect(() => requireBootImage(image(4096))).not.toThrow();
    expect(() => requireBootImage(image(LARGE_BOOT_IMAGE_BYTES))).not.toThrow();
  });

  test.each([
    ['an empty file', Buffer.alloc(0)],
    ['no boot signature', Buffer.alloc(4096)],
    ['half a sector', image(700)],
    ['more than the bootloader loads', image(96 * 1024 * 1024 + 512)],
  ])('refuses %s', (_, bad) => {
    expect(() => requireBootImage(bad)).toThrow(expect.objectContaining({ code: 'boot-image-invalid' }));
  });
});
