import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { loadConfig } from '../../src/boot-signer/config.ts';
import { encodeEfiImage, encodePiBootImage, type ImageType } from '../../src/boot-signer/image-documents.ts';
import { createServiceImageSigner } from '../../src/cli/boot-sign/service-image-signer.ts';
import { toHex } from '../../src/core/bytes.ts';
import { referenceOf } from '../../src/signing/artifact.ts';
import { authenticodeSha256 } from '../../src/signing/efi/authenticode.ts';
import { verifyEfi } from '../../src/signing/efi/sign-efi.ts';
import { parseBootSig, verifyBootSig } from '../../src/signing/pi/boot-sig.ts';
import { publicKeyOf } from '../../src/signing/public-key.ts';
import { SigningDesk } from '../cli/boot-sign-fixture.ts';
import { createThrowawaySigner } from '../signing/efi/throwaway-signer.ts';
import { buildTinyPe } from '../signing/efi/tiny-pe.ts';
import { ServiceFolder } from './service-fixture.ts';

// Images whose key is in the service: the bytes decide what is signed, and people whether.

const efiImage = buildTinyPe([{ name: '.text', data: Buffer.alloc(700, 8) }]);
/** More than a request may hold. */
const bootImage = Buffer.concat([Buffer.alloc(510), Buffer.of(0x55, 0xaa), Buffer.alloc(6 * 1024 * 1024, 1)]);

async function world(efiRole: Record<string, unknown>, piRole: Record<string, unknown>) {
  const db = createThrowawaySigner();
  const desk = new SigningDesk();
  desk.nowMs = Date.now();
  const service = new ServiceFolder();
  onTestFinished(() => {
    db.remove();
    desk.close();
  });
  const alice = await service.addKey('alice');
  await service.addKey('online');
  const encrypt = ['-topk8', '-in', db.keyFile, '-out', join(service.folder, 'images.pem')];
  const passout = ['-passout', `file:${join(service.folder, 'passphrase')}`];
  execFileSync('openssl', ['pkcs8', ...encrypt, ...passout]);
  const secret = { secret: 'file:passphrase' };
  service.configure({
    keys: [
      { name: 'images', reference: 'file:images.pem', ...secret },
      { name: 'online', reference: 'file:online.json', ...secret },
    ],
    roles: [
      { role: 'timestamp', keys: ['online'], maxDays: 30 },
      { role: 'efi-image', keys: ['images'], ...efiRole },
      { role: 'pi-boot-image', keys: ['images'], ...piRole },
    ],
    approvers: [
      {
        person: 'alice',
        publicKeys: [publicKeyOf(alice.key).export({ type: 'spki', format: 'pem' }).toString()],
      },
    ],
  });
  desk.write('boot.efi', efiImage);
  desk.write('boot.img', bootImage);
  desk.write('pi.pub', db.certificate.publicKey.export({ type: 'spki', format: 'pem' }));
  const reach = ['--service', service.socketPath];
  const at = ['--time', String(Math.floor(desk.nowMs / 1000) + 5)];
  const signEfi = () => {
    const files = ['--certificate', db.certificateFile, '--out', desk.path('signed.efi')];
    return desk.run('sign-efi', desk.path('boot.efi'), ...files, ...at, ...reach);
  };
  const signPi = () =>
    desk.run('rpi-image', desk.path('boot.img'), '--public-key', desk.path('pi.pub'), ...reach);
  const approve = async () => {
    const { requests } = JSON.parse((await desk.run('requests', 'list', ...reach, '-o', 'json')).stdout);
    const passphrase = ['--passphrase-file', join(service.folder, 'passphrase')];
    const key = ['--key', join(service.folder, 'alice.json'), ...passphrase];
    return desk.run('requests', 'approve', requests[0].id, ...key, ...reach);
  };
  return { db, desk, service, signEfi, signPi, approve };
}

const byAlice = { approvals: { count: 1, people: ['alice'] } };

it('S20 an EFI image and a boot.img are signed once people approved them, as with the key at hand', async () => {
  const { db, desk, service, signEfi, signPi, approve } = await world(byAlice, byAlice);
  await service.initialise();
  await service.start();
  expect(await signEfi()).toMatchObject({ status: 79 });
  const digest = toHex(authenticodeSha256(efiImage));
  expect(await approve()).toMatchObject({ status: 0, stdout: expect.stringContaining(digest) });
  expect(await signEfi()).toMatchObject({ status: 0 });
  expect(verifyEfi(readFileSync(desk.path('signed.efi')), db.certificate).signatures).toBe(1);
  const atHand = ['--key', db.keyFile, '--certificate', db.certificateFile, '--out', desk.path('own.efi')];
  const time = ['--time', String(Math.floor(desk.nowMs / 1000) + 5)];
  expect(await desk.run('sign-efi', desk.path('boot.efi'), ...atHand, ...time)).toMatchObject({ status: 0 });
  expect(readFileSync(desk.path('own.efi')).equals(readFileSync(desk.path('signed.efi')))).toBe(true);

  expect(await signPi()).toMatchObject({ status: 79 });
  expect(await approve()).toMatchObject({ status: 0 });
  expect(await signPi()).toMatchObject({ status: 0 });
  const bootSig = parseBootSig(readFileSync(desk.path('boot.sig')));
  verifyBootSig(bootSig, { image: bootImage, publicKey: db.certificate.publicKey });
});

it('S20 no signature is made over another image than the one that is there, nor over one that is not allowed', async () => {
  const digest = toHex(authenticodeSha256(efiImage));
  const { db, service, signEfi, signPi } = await world(
    { images: [digest] },
    { images: [referenceOf(efiImage).sha256] },
  );
  await service.initialise();
  await service.start();
  const { publicKey } = db.certificate;
  const ask = (type: ImageType, image: Uint8Array, text: Uint8Array) =>
    createServiceImageSigner(service, { type, publicKey, image, text }).sign(new Uint8Array());
  const time = Math.floor(Date.now() / 1000);
  const other = buildTinyPe([{ name: '.text', data: Buffer.alloc(700, 9) }]);
  const otherDigest = toHex(authenticodeSha256(other));
  const efi = (image: Uint8Array, authenticode: string, seconds = time) =>
    ask(
      'efi-image',
      image,
      encodeEfiImage({ ...referenceOf(image), authenticodeSha256: authenticode, time: seconds }),
    );
  await expect(efi(other, digest)).rejects.toThrow(/image-refused: the image has the Authenticode digest/);
  await expect(efi(other, otherDigest)).rejects.toThrow(/image-refused.*none of the images/);
  await expect(efi(efiImage, digest, time + 3600)).rejects.toThrow(/image-refused.*not yet/);
  const absent = encodeEfiImage({ ...referenceOf(other), authenticodeSha256: digest, time });
  await expect(ask('efi-image', efiImage, absent)).rejects.toThrow(/image-refused/);
  await expect(ask('pi-boot-image', efiImage, encodePiBootImage(referenceOf(efiImage)))).rejects.toThrow(
    /image-refused: this is not a FAT image/,
  );
  const asMetadata = encodeEfiImage({ ...referenceOf(efiImage), authenticodeSha256: digest, time });
  await expect(ask('pi-boot-image', efiImage, asMetadata)).rejects.toThrow(/image-refused/);
  expect((await signPi()).stderr).toContain('image-refused');
  expect(await signEfi()).toMatchObject({ status: 0 });
});

describe('a configuration', () => {
  it.each<[string, Record<string, unknown>, RegExp]>([
    ['that would have any image signed', {}, /any image would be signed/],
    ['with a key for images and metadata', { ...byAlice, keys: ['online'] }, /signs metadata too/],
    ['with an expiry of images', { ...byAlice, maxDays: 3 }, /"maxDays" is for metadata/],
  ])('%s is refused', async (_what, role, message) => {
    const { service } = await world(role, byAlice);
    expect(() => loadConfig(service.configFile)).toThrow(message);
  });
});
