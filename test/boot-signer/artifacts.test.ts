import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { signFloorApprovals } from '../../src/attestation/floor/floor-approval.ts';
import {
  type PredictedStage0Pcrs,
  predictStage0Pcrs,
} from '../../src/attestation/policy/stage0-reference.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { toHex } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { referenceOf } from '../../src/signing/artifact.ts';
import { composeStage0 } from '../../src/signing/efi/stage0-image.ts';
import { measureStage0 } from '../../src/signing/efi/stage0-measurements.ts';
import { encodeReleaseManifest } from '../../src/signing/manifest.ts';
import { composeDelegated } from '../../src/signing/tuf/compose.ts';
import { createFloorKey, FLOOR_KEY } from '../attestation/floor/floor-fixture.ts';
import { buildTinyPe } from '../signing/efi/tiny-pe.ts';
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

async function stage0World() {
  const service = new ServiceFolder();
  await service.addKey('release');
  const artifacts = join(service.folder, 'artifacts');
  mkdirSync(artifacts);
  service.configure({ artifacts, roles: [{ role: 'stage0', keys: ['release'], maxDays: 30 }] });
  await service.initialise();
  await service.start();
  const base = {
    kernel: Buffer.from('a kernel'),
    initramfs: Buffer.from('an archive'),
    stub: buildTinyPe(),
    osRelease: Buffer.from('ID=bootward\n'),
  };
  const composed = composeStage0({ base, config: {}, cmdline: 'quiet' });
  const { sha256, length } = referenceOf(composed.image);
  writeFileSync(join(artifacts, sha256), composed.image);
  const custom = {
    build: 1,
    architecture: 'x86-64',
    authenticodeSha256: toHex(composed.authenticodeSha256),
    pcr11: toHex(composed.pcr11),
  };
  const expiresMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
  const approve = async (pcrs: Partial<PredictedStage0Pcrs> = {}): Promise<JsonObject> => {
    const predicted = { ...predictStage0Pcrs(measureStage0(composed.image)), ...pcrs };
    return { ...(await signFloorApprovals(predicted, FLOOR_KEY.sign)) };
  };
  const sign = (changed: JsonObject) =>
    createSigningServiceSigner(service).sign({
      role: 'stage0',
      keyIds: service.keyIds('release'),
      canonical: canonicalOf(
        composeDelegated(
          { version: 1, expiresMs },
          { 'stage0/x86-64-1.efi': { length, hashes: { sha256 }, custom: { ...custom, ...changed } } },
        ),
      ),
    });
  return { approve, sign };
}

it('a stage-0 is signed with what its bytes measure, and with nothing else', async () => {
  const { sign } = await stage0World();
  await expect(sign({ pcr11: '0'.repeat(64) })).rejects.toThrow(/artifact-refused.*pcr11/);
  await expect(sign({ authenticodeSha256: '0'.repeat(64) })).rejects.toThrow(
    /artifact-refused.*authenticode/,
  );
  expect(await sign({})).toHaveLength(1);
});

describe('P8 a stage-0 that keeps a floor', () => {
  const { floorKey } = FLOOR_KEY;

  it('is signed with the approvals of its image', async () => {
    const { approve, sign } = await stage0World();
    expect(await sign({ floorKey, floorApprovals: await approve() })).toHaveLength(1);
  });

  it.each<[string, Partial<PredictedStage0Pcrs>]>([
    ['another image', { pcr11: new Uint8Array(32) }],
    ['another boot loader', { pcr4SecureBoot: new Uint8Array(32) }],
    ['firmware whose PCR 4 nobody can predict', { pcr4NoSecureBoot: new Uint8Array(32) }],
  ])('is not signed with the approvals of %s', async (_name, pcrs) => {
    const { approve, sign } = await stage0World();
    await expect(sign({ floorKey, floorApprovals: await approve(pcrs) })).rejects.toThrow(
      /artifact-refused.*stage0\/x86-64-1\.efi: .*floor approval for Secure Boot o/,
    );
  });

  it('is not signed with the approvals of another key', async () => {
    const { approve, sign } = await stage0World();
    const other = createFloorKey().floorKey;
    await expect(sign({ floorKey: other, floorApprovals: await approve() })).rejects.toThrow(
      /artifact-refused.*floor approval for Secure Boot on is not the floor key's/,
    );
  });
});
