import { createPublicKey } from 'node:crypto';
import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { createPrivateKeyFor, keyIdOf, tufKeyOf, verifySignature } from '../../src/signing/public-key.ts';
import { PIN, SOFTHSM_MODULE, SoftHsm } from '../signing/keys/pkcs11-softhsm.ts';
import { canonicalOf, pemOf, ServiceFolder, timestampOf } from './service-fixture.ts';

const ROLES = [{ role: 'timestamp', keys: ['online'], maxDays: 30 }];

async function signs(service: ServiceFolder, key: ReturnType<typeof tufKeyOf>): Promise<boolean> {
  const canonical = canonicalOf(timestampOf(1));
  const signer = createSigningServiceSigner(service);
  const [signed] = await signer.sign({ role: 'timestamp', keyIds: [keyIdOf(key)], canonical });
  return verifySignature(key, canonical, signed?.signature ?? '');
}

async function tokenService(pin: string) {
  const hsm = await SoftHsm.create();
  onTestFinished(() => hsm.remove());
  await hsm.createToken('release');
  const privateKey = createPrivateKeyFor('ecdsa-sha2-nistp256');
  await hsm.importKey({ token: 'release', label: 'online', id: '01', privateKey });
  const service = new ServiceFolder();
  writeFileSync(join(service.folder, 'pin'), `${pin}\n`, { mode: 0o600 });
  const reference = `pkcs11:token=release;object=online?module-path=${SOFTHSM_MODULE}`;
  service.configure({
    moduleEnvironment: { SOFTHSM2_CONF: process.env.SOFTHSM2_CONF },
    keys: [{ name: 'online', reference, secret: 'file:pin' }],
    roles: ROLES,
  });
  await service.initialise();
  return { service, key: tufKeyOf(privateKey) };
}

it('a key in a token signs through the service', async () => {
  const { service, key } = await tokenService(PIN);
  const running = await service.start();
  expect(running.isReady, running.stderr()).toBe(true);
  expect(await signs(service, key)).toBe(true);
});

it('S18 a wrong PIN is tried once, and no supervisor tries it again', async () => {
  const { service } = await tokenService('654321');
  const running = await service.start();
  expect(await running.ended).toBe(78);
  expect(running.stderr()).toContain('hsm-pin-wrong');
});

it('a program that signs does so through the service', async () => {
  const service = new ServiceFolder();
  const privateKey = createPrivateKeyFor('ecdsa-sha2-nistp256');
  const path = (name: string) => join(service.folder, name);
  writeFileSync(path('private.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(path('sign'), HOOK.replaceAll('FOLDER', service.folder));
  writeFileSync(path('sign.pem'), pemOf(createPublicKey(privateKey)));
  chmodSync(path('sign'), 0o700);
  service.configure({ keys: [{ name: 'online', reference: `hook:${path('sign')}` }], roles: ROLES });
  await service.initialise();
  const running = await service.start();
  expect(running.isReady, running.stderr()).toBe(true);
  expect(await signs(service, tufKeyOf(privateKey))).toBe(true);
});

const HOOK = `#!/bin/sh
openssl dgst -sha256 -sign FOLDER/private.pem -hex -r "$3" | cut -d' ' -f1
`;
