import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { verifyEfi } from '../../../src/signing/efi/sign-efi.ts';
import { SigningDesk } from '../../cli/boot-sign-fixture.ts';
import { PIN, SOFTHSM_MODULE, SoftHsm } from './pkcs11-softhsm.ts';

// Secure Boot with a key that is in a token: boot-sign has the certificate and nothing else.

let hsm: SoftHsm;
let desk: SigningDesk;
const DB_KEY = `pkcs11:token=db;object=db?module-path=${SOFTHSM_MODULE}`;

beforeAll(async () => {
  hsm = await SoftHsm.create();
  desk = new SigningDesk();
  expect(await desk.init()).toMatchObject({ status: 0 });
  const keyFile = join(desk.repository, 'keys', 'secure-boot', 'db.key');
  const passphrase = readFileSync(desk.path('passphrase'), 'utf8').trim();
  const privateKey = createPrivateKey({ key: readFileSync(keyFile), passphrase });
  await hsm.createToken('db');
  await hsm.importKey({ token: 'db', label: 'db', id: '01', privateKey });
  rmSync(keyFile);
  desk.write('pin', `${PIN}\n`);
}, 60_000);

afterAll(async () => {
  desk.close();
  await hsm.remove();
});

it('S20 stage-0 and kernel are signed by a key that never leaves its token', async () => {
  const withToken = ['--db-key', DB_KEY, '--pin-file', desk.path('pin')];
  expect((await desk.stage0(1, '--save', desk.path('stage0.efi'))).status).not.toBe(0);
  expect(await desk.stage0(1, '--save', desk.path('stage0.efi'), ...withToken)).toMatchObject({ status: 0 });
  const file = join(desk.repository, 'keys', 'secure-boot', 'db.crt');
  const certificate = new X509Certificate(readFileSync(file));
  expect(verifyEfi(readFileSync(desk.path('stage0.efi')), certificate).signatures).toBe(1);
  expect(await desk.release(1, '--sign-kernel', ...withToken)).toMatchObject({ status: 0 });
  expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
});
