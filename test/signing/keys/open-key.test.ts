import { createPublicKey, verify } from 'node:crypto';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asciiBytes, toHex } from '../../../src/core/bytes.ts';
import { createKeyFile } from '../../../src/signing/keys/key-file.ts';
import { KeyOpener, type KeySecrets } from '../../../src/signing/keys/open-key.ts';
import { createPrivateKeyFor, tufKeyOf, verifySignature } from '../../../src/signing/public-key.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { PIN, SOFTHSM_MODULE, SoftHsm } from './pkcs11-softhsm.ts';

const MESSAGE = asciiBytes('{"_type":"root"}');
const PASSPHRASE = 'correct horse';
const privateKey = createPrivateKeyFor('ecdsa-sha2-nistp256');

let hsm: SoftHsm;
beforeAll(async () => {
  hsm = await SoftHsm.create();
  await hsm.createToken('release');
  await hsm.importKey({ token: 'release', label: 'key', id: '01', privateKey });
});
afterAll(() => hsm.remove());

const TOKEN = 'pkcs11:token=release;object=key';
const MODULE = `?module-path=${SOFTHSM_MODULE}`;
const secrets: KeySecrets = { passphraseOf: async () => PASSPHRASE, pinOf: async () => PIN };

async function keyFile(scheme: 'ed25519' | 'rsassa-pss-sha256' = 'ed25519'): Promise<string> {
  const path = join(await temporaryFolder(), 'a.key');
  await createKeyFile({ path, passphrase: PASSPHRASE, logN: 12, scheme });
  return path;
}

async function hook(): Promise<string> {
  const program = join(await temporaryFolder(), 'hook');
  const script = 'openssl dgst -sha256 -sign "$0.private" "$3" | od -An -v -tx1 | tr -d " \\n"';
  await writeFile(program, `#!/bin/sh\n${script}\n`);
  await chmod(program, 0o700);
  await writeFile(`${program}.private`, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  await writeFile(`${program}.pem`, createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }));
  return program;
}

describe('each kind of key store', () => {
  it.each([
    ['an encrypted file', async () => `file:${await keyFile()}`],
    ['a token', async () => TOKEN + MODULE],
    ['a program', async () => `hook:${await hook()}`],
  ])('is opened by its reference, and its signatures verify: %s', async (_, referenceOf) => {
    const opener = new KeyOpener({ secrets });
    const signer = await opener.open(await referenceOf());
    const signatures = await Promise.all([signer.sign(MESSAGE), signer.sign(MESSAGE)]);
    for (const signature of signatures)
      expect(verifySignature(signer.key, MESSAGE, toHex(signature))).toBe(true);
    expect(verifySignature(signer.key, MESSAGE.subarray(1), toHex(signatures[0]))).toBe(false);
    await opener.close();
  });

  it('opens RSA keys in files for PKCS#1 v1.5 too, and no others', async () => {
    const opener = new KeyOpener({ secrets });
    const signer = await opener.openRsaPkcs1(`file:${await keyFile('rsassa-pss-sha256')}`);
    expect(verify('sha256', MESSAGE, signer.publicKey, await signer.sign(MESSAGE))).toBe(true);
    const ed25519 = opener.openRsaPkcs1(`file:${await keyFile()}`);
    await expect(ed25519).rejects.toMatchObject({ code: 'rsa-key-unsuitable' });
    const p256 = opener.openRsaPkcs1(`hook:${await hook()}`);
    await expect(p256).rejects.toMatchObject({ code: 'rsa-key-unsuitable' });
  });
});

describe('secrets', () => {
  it('a PIN comes from the file that the reference names, and then nobody is asked', async () => {
    const pinFile = join(await temporaryFolder(), 'pin');
    await writeFile(pinFile, `${PIN}\n`, { mode: 0o600 });
    const pinOf = () => Promise.reject(new Error('nobody is there'));
    const opener = new KeyOpener({ secrets: { ...secrets, pinOf } });
    const signer = await opener.open(`${TOKEN}${MODULE}&pin-source=file:${pinFile}`);
    expect(signer.key).toEqual(tufKeyOf(privateKey));
    await opener.close();
  });

  it('a PIN is asked for by token, and only when a login needs it', async () => {
    const asked: string[] = [];
    const pinOf: KeySecrets['pinOf'] = async ({ label }) => {
      asked.push(label);
      return PIN;
    };
    const opener = new KeyOpener({ secrets: { ...secrets, pinOf } });
    const [one] = await Promise.all([
      opener.open(TOKEN + MODULE),
      opener.open(`pkcs11:token=release;id=%01${MODULE}`),
    ]);
    await one.sign(MESSAGE);
    expect(asked).toEqual(['release']);
    await opener.close();
  });

  it('that cannot be had are the error of whoever was asked, and no login was tried', async () => {
    const pinOf = () => Promise.reject(new Error('nobody is there'));
    const opener = new KeyOpener({ secrets: { ...secrets, pinOf } });
    await expect(opener.open(TOKEN + MODULE)).rejects.toThrow('nobody is there');
    await opener.close();
    const again = new KeyOpener({ secrets });
    expect((await again.open(TOKEN + MODULE)).key).toEqual(tufKeyOf(privateKey));
    await again.close();
  });

  it('that are wrong are in no error', async () => {
    const path = await keyFile();
    const wrong = new KeyOpener({ secrets: { ...secrets, passphraseOf: async () => 'wrong-secret' } });
    const error = await wrong.open(`file:${path}`).catch((thrown: Error) => thrown);
    expect(error).toMatchObject({ code: 'passphrase-wrong' });
    expect(JSON.stringify([error, String((error as Error).stack)])).not.toContain('wrong-secret');
  });
});
