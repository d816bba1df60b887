import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { referenceOf } from '../../src/signing/artifact.ts';
import { encodeReleaseManifest } from '../../src/signing/manifest.ts';
import { composeDelegated } from '../../src/signing/tuf/compose.ts';
import { canonicalOf, ServiceFolder } from './service-fixture.ts';

async function world() {
  const service = new ServiceFolder();
  await service.addKey('release');
  const artifacts = join(service.folder, 'artifacts');
  mkdirSync(artifacts);
  const store = (bytes: Uint8Array) => {
    const reference = referenceOf(bytes);
    writeFileSync(join(artifacts, reference.sha256), bytes);
    return reference;
  };
  service.configure({
    artifacts: 'artifacts',
    roles: [{ role: 'channel-demo', keys: ['release'], maxDays: 30 }],
  });
  await service.initialise();
  await service.start();
  const kernel = store(Buffer.alloc(3_000_000, 1));
  const initramfs = store(Buffer.from('initramfs'));
  const release = { channel: 'demo', version: 1, name: 'one', architecture: 'x86-64' } as const;
  const manifest = encodeReleaseManifest({
    ...release,
    handover: 'kexec',
    cmdline: 'quiet',
    kernel,
    initramfs,
    attachments: new Map(),
  });
  const { sha256, length } = store(manifest);
  const custom = { version: 1, name: 'one', architecture: 'x86-64' };
  const targets = { 'channels/demo/1.json': { length, hashes: { sha256 }, custom } };
  const expiresMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
  const canonical = canonicalOf(composeDelegated({ version: 1, expiresMs }, targets));
  const sign = () =>
    createSigningServiceSigner(service).sign({
      role: 'channel-demo',
      keyIds: service.keyIds('release'),
      canonical,
    });
  return { artifacts, kernel, sign };
}

it('a release is signed when its manifest and what that names are there, as listed', async () => {
  const { sign } = await world();
  expect(await sign()).toHaveLength(1);
});

it('no release is signed whose kernel is another one', async () => {
  const { artifacts, kernel, sign } = await world();
  writeFileSync(join(artifacts, kernel.sha256), Buffer.alloc(3_000_000, 2));
  await expect(sign()).rejects.toThrow(/artifact-refused.*expected SHA-256/);
});
