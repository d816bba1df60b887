import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { authenticodeSha256 } from '../../../src/signing/efi/authenticode.ts';
import { signEfi } from '../../../src/signing/efi/sign-efi.ts';
import { createThrowawaySigner } from './throwaway-signer.ts';
import { buildTinyPe } from './tiny-pe.ts';

const signer = createThrowawaySigner();
afterAll(() => signer.remove());

const path = (name: string) => join(signer.folder, name);
const input = path('plain.efi');
writeFileSync(input, buildTinyPe());
const epochSeconds = Math.floor(Date.now() / 1000) + 3600;
const request = {
  input,
  keyFile: signer.keyFile,
  certificateFile: signer.certificateFile,
  epochSeconds,
};
const failed = expect.objectContaining({ code: 'efi-signing-failed' });

describe('signEfi', () => {
  test('gives the same bytes twice', async () => {
    await signEfi({ ...request, output: path('a.efi') });
    await signEfi({ ...request, output: path('b.efi') });
    expect(readFileSync(path('a.efi')).equals(readFileSync(path('b.efi')))).toBe(true);
    expect(authenticodeSha256(readFileSync(path('a.efi')))).toEqual(authenticodeSha256(buildTinyPe()));
  });

  test.skipIf(!existsSync('/usr/bin/sbverify'))('writes what sbverify accepts', async () => {
    await signEfi({ ...request, output: path('f.efi') });
    execFileSync('sbverify', ['--cert', signer.certificateFile, path('f.efi')], { stdio: 'ignore' });
  });

  test('reads an encrypted key with a passphrase file, and refuses a wrong passphrase', async () => {
    const encrypted = path('encrypted.key');
    writeFileSync(path('passphrase'), 'correct horse\n');
    writeFileSync(path('wrong'), 'battery staple\n');
    const convert = [
      'pkcs8',
      '-topk8',
      '-in',
      signer.keyFile,
      '-out',
      encrypted,
      '-passout',
      `file:${path('passphrase')}`,
    ];
    execFileSync('openssl', convert, { stdio: 'ignore' });
    const withKey = { ...request, keyFile: encrypted, output: path('c.efi') };
    await expect(signEfi({ ...withKey, passphraseFile: path('wrong') })).rejects.toThrow(/Wrong password/);
    expect(existsSync(path('c.efi'))).toBe(false);
    await signEfi({ ...withKey, passphraseFile: path('passphrase') });
    expect(existsSync(path('c.efi'))).toBe(true);
  });

  test('replaces no output and leaves no folder behind when it fails', async () => {
    writeFileSync(path('kept.efi'), 'what was there');
    writeFileSync(path('broken.efi'), 'not an image');
    await expect(
      signEfi({ ...request, input: path('broken.efi'), output: path('kept.efi') }),
    ).rejects.toEqual(failed);
    expect(readFileSync(path('kept.efi'), 'utf8')).toBe('what was there');
    expect(readdirSync(signer.folder).filter((name) => name.startsWith('.signing-'))).toEqual([]);
  });

  test('refuses a signing time outside the certificate’s validity, which Linux would refuse', async () => {
    const request2001 = { ...request, epochSeconds: 1_000_000_000, output: path('e.efi') };
    await expect(signEfi(request2001)).rejects.toThrow(/not within the certificate's validity/);
    expect(existsSync(path('e.efi'))).toBe(false);
  });

  test('refuses a certificate that is not the key’s', async () => {
    const other = createThrowawaySigner();
    try {
      const mixed = { ...request, certificateFile: other.certificateFile, output: path('d.efi') };
      await expect(signEfi(mixed)).rejects.toEqual(failed);
    } finally {
      other.remove();
    }
  });
});
