import { generateKeyPairSync } from 'node:crypto';
import { readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { verifyFloorApprovals } from '../../src/attestation/floor/floor-approval.ts';
import { findFloorKey } from '../../src/cli/boot-sign/floor-key.ts';
import { floorSettingsOf } from '../../src/cli/boot-sign/floor-settings.ts';
import { openRepository } from '../../src/cli/boot-sign/open-repository.ts';
import { predictPcrs } from '../../src/cli/boot-sign/predicted-pcrs.ts';
import { asciiBytes } from '../../src/core/bytes.ts';
import { openKeyFile } from '../../src/signing/keys/key-file.ts';
import { layoutOf } from '../../src/signing/repository/layout.ts';
import { createKeySigner } from '../../src/signing/signer.ts';
import type { Stage0Listing } from '../../src/signing/tuf/listings.ts';
import { repositoryOf } from '../../src/signing/tuf/verify-repository.ts';
import { NOW_MS, PASSPHRASE, SigningDesk } from './boot-sign-fixture.ts';

let desk: SigningDesk;
const keyPath = () => join(desk.repository, 'keys', 'floor.json');

beforeEach(async () => {
  desk = new SigningDesk();
  await desk.init();
});
afterEach(() => desk.close());

async function listed(build: number): Promise<Stage0Listing> {
  const { current } = await openRepository(desk.repository, { nowMs: NOW_MS, stderr: process.stderr });
  const found = repositoryOf(current).stage0Builds.find((listing) => listing.build === build);
  if (found === undefined) throw new Error('not listed');
  return found;
}

async function newKey(name: string, scheme: string): Promise<string> {
  const file = desk.path(`${name}.json`);
  const options = ['--scheme', scheme, '--key-cost', '12', '--passphrase-file', desk.path('passphrase')];
  expect(await desk.run('new-key', file, ...options)).toMatchObject({ status: 0 });
  return file;
}

describe('the floor key', () => {
  it('is made with the others: P-256, for its owner only', async () => {
    expect(statSync(keyPath()).mode & 0o777).toBe(0o600);
    expect((await openKeyFile(keyPath(), PASSPHRASE)).key.scheme).toBe('ecdsa-sha2-nistp256');
    expect((await desk.run('keys', desk.repository)).stdout).toMatch(/^floor .*ecdsa-sha2-nistp256$/m);
  });

  it('is baked into stage-0 and approves what that image leaves in the PCRs', async () => {
    expect(await desk.stage0(7, '--save', desk.path('stage0.efi'))).toMatchObject({ status: 0 });
    const image = readFileSync(desk.path('stage0.efi'));
    const { key } = await openKeyFile(keyPath(), PASSPHRASE);
    expect(image.includes('etc/bootward/floor-key')).toBe(true);
    expect(image.includes(floorSettingsOf(key)['floor-key'])).toBe(true);
    expect(image.includes('etc/bootward/1.root.json')).toBe(true);
    const { floorKey = '', floorApprovals } = await listed(7);
    expect(Object.keys(floorApprovals ?? {})).toEqual(['secureBoot', 'noSecureBoot']);
    if (floorApprovals) verifyFloorApprovals({ floorKey, floorApprovals }, predictPcrs(image));
    expect(await desk.run('verify', desk.repository)).toMatchObject({ status: 0 });
  });

  it('is baked into no base whose agent would not read it', async () => {
    desk.write('base/os-release', 'ID=bootward\n');
    expect(await desk.stage0(7)).toMatchObject({
      status: 64,
      stderr: expect.stringContaining('was built for another boot-sign'),
    });
    expect(await desk.run('verify', desk.repository, '-o', 'json')).toMatchObject({
      stdout: expect.not.stringContaining('stage0/'),
    });
  });

  it('may be elsewhere', async () => {
    const elsewhere = await newKey('elsewhere', 'ecdsa-sha2-nistp256');
    rmSync(keyPath());
    expect(await desk.stage0(7, '--floor-key', elsewhere)).toMatchObject({ status: 0 });
    const { key } = await openKeyFile(elsewhere, PASSPHRASE);
    const der = Buffer.from(key.keyval.public.replace(/-----[A-Z ]+-----|\n/g, ''), 'base64');
    expect((await listed(7)).floorKey).toBe(der.toString('base64'));
  });

  it('that is nowhere makes a stage-0 that keeps no floor, and says so', async () => {
    renameSync(keyPath(), desk.path('away.json'));
    const run = await desk.stage0(7, '--save', desk.path('stage0.efi'));
    expect(run.stdout).toMatch(/^ {2}floor {9}none$/m);
    expect(await listed(7)).not.toHaveProperty('floorKey');
    expect(readFileSync(desk.path('stage0.efi')).includes('floor-key')).toBe(false);
  });

  it.each(['ed25519', 'rsassa-pss-sha256'])('is never one for %s', async (scheme) => {
    const wrong = await newKey('wrong-kind', scheme);
    const run = await desk.stage0(7, '--floor-key', wrong);
    expect(run).toMatchObject({
      status: 64,
      stderr: expect.stringContaining(`the floor key is for ${scheme}`),
    });
    await expect(listed(7)).rejects.toThrow('not listed');
  });

  it('is known to a dry run, which asks for no passphrase', async () => {
    const server = ['--server-url', 'https://10.0.2.2:8444', '--server-ca', desk.path('ca.pem')];
    const args = ['--base', desk.path('base'), '--build', '7', ...server, '--dry-run', '-o', 'json'];
    const run = await desk.run('stage0', desk.repository, ...args);
    expect(run).toMatchObject({ status: 0 });
    expect(JSON.parse(run.stdout)).toHaveProperty('floorKey');
    expect(JSON.parse(run.stdout)).not.toHaveProperty('floorApprovals');
  });

  it('P8 that signs something else than it was asked is not believed', async () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const honest = createKeySigner(privateKey);
    const liar = { ...honest, sign: () => honest.sign(asciiBytes('something else')) };
    const found = await findFloorKey(layoutOf(desk.repository), { named: 'a token', open: async () => liar });
    const zero = new Uint8Array(32);
    await expect(found?.approve({ pcr4SecureBoot: zero, pcr11: zero })).rejects.toMatchObject({
      code: 'floor-approval-invalid',
    });
  });
});

it('P8 a listing whose approvals are of another image is refused', async () => {
  await desk.stage0(7);
  const { floorKey, floorApprovals } = await listed(7);
  const opened = await openRepository(desk.repository, { nowMs: NOW_MS, stderr: process.stderr });
  expect(floorKey).toBeDefined();
  expect(floorApprovals).toBeDefined();
  const image = readFileSync(join(opened.layout.artifacts, (await listed(7)).sha256));
  const other = { ...predictPcrs(image), pcr11: new Uint8Array(32) };
  const listing = { floorKey: floorKey ?? '', floorApprovals: floorApprovals ?? { secureBoot: '' } };
  expect(() => verifyFloorApprovals(listing, other)).toThrow(/Secure Boot on is not the floor key's/);
});
