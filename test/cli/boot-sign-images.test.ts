import { execFileSync } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { describeFailure } from '../../src/cli/boot-sign/outcome.ts';
import { createPredictCommand } from '../../src/cli/boot-sign/predict.ts';
import { createRpiImageCommand } from '../../src/cli/boot-sign/rpi-image.ts';
import { createSignEfiCommand } from '../../src/cli/boot-sign/sign-efi.ts';
import { sha256, toHex, utf8Bytes } from '../../src/core/bytes.ts';
import { authenticodeSha256 } from '../../src/signing/efi/authenticode.ts';
import { signEfi, verifyEfi } from '../../src/signing/efi/sign-efi.ts';
import { composeStage0 } from '../../src/signing/efi/stage0-image.ts';
import { parseBootSig, verifyBootSig } from '../../src/signing/pi/boot-sig.ts';
import { createThrowawaySigner } from '../signing/efi/throwaway-signer.ts';
import { buildTinyPe } from '../signing/efi/tiny-pe.ts';
import { readFatImage } from '../signing/pi/fat-reader.ts';

const db = createThrowawaySigner();
const path = (name: string) => join(db.folder, name);
const nowMs = Date.now();
const time = String(Math.floor(nowMs / 1000) + 60);
const kernel = buildTinyPe([{ name: '.text', data: Buffer.alloc(700, 8) }]);
const { image: stage0 } = composeStage0({
  base: { kernel, initramfs: utf8Bytes('initramfs'), stub: buildTinyPe(), osRelease: utf8Bytes('ID=x\n') },
  config: { 'agent.conf': utf8Bytes('x') },
  cmdline: 'quiet',
});
const bootImage = Buffer.concat([Buffer.alloc(510), Buffer.of(0x55, 0xaa), Buffer.alloc(512, 1)]);

beforeAll(() => {
  const { privateKey } = generateKeyPairSync('ed25519');
  writeFileSync(path('ed25519.key'), privateKey.export({ format: 'pem', type: 'pkcs8' }));
  writeFileSync(path('stage0.efi'), stage0);
  writeFileSync(path('boot.img'), bootImage);
  writeFileSync(path('passphrase'), 'correct horse\n');
  writeFileSync(path('wrong'), 'battery staple\n');
  const encrypt = ['-topk8', '-in', db.keyFile, '-out', path('encrypted.key')];
  execFileSync('openssl', ['pkcs8', ...encrypt, '-passout', `file:${path('passphrase')}`]);
});
afterAll(() => db.remove());

async function run(args: string[], environment: NodeJS.ProcessEnv = {}) {
  const stdout = new PassThrough();
  const context = { stdout, stderr: stdout, clock: { nowMs: () => nowMs }, environment };
  const program = new Command();
  for (const create of [createPredictCommand, createRpiImageCommand, createSignEfiCommand])
    program.addCommand(create(context));
  const failure = await program.parseAsync(args, { from: 'user' }).then(() => undefined, describeFailure);
  stdout.end();
  return { status: failure?.exitCode ?? 0, code: failure?.code, stdout: await text(stdout) };
}

describe('sign-efi', () => {
  const signArguments = (key: string, out: string) => [
    ...['sign-efi', path('stage0.efi'), '--certificate', db.certificateFile],
    ...['--key', key, '--out', path(out)],
  ];

  it('writes what the library signs, with an encrypted key or a plain one', async () => {
    const expected = await signEfi({ ...db, image: stage0, epochSeconds: Number(time) });
    const plain = await run([...signArguments(db.keyFile, 'a.efi'), '--time', time, '-o', 'json']);
    expect(JSON.parse(plain.stdout)).toEqual({
      file: path('a.efi'),
      length: expected.length,
      signatures: 1,
      sha256: toHex(sha256(expected)),
      authenticodeSha256: toHex(authenticodeSha256(stage0)),
    });
    const passphrase = ['--passphrase-file', path('passphrase')];
    const encrypted = [...signArguments(path('encrypted.key'), 'b.efi'), ...passphrase];
    expect((await run(encrypted, { SOURCE_DATE_EPOCH: time })).stdout).toContain('one signature');
    for (const name of ['a.efi', 'b.efi'])
      expect(readFileSync(path(name)).equals(Buffer.from(expected))).toBe(true);
  });

  it('writes nothing with a wrong passphrase, another kind of key, or at another time', async () => {
    const args = (key: string) => signArguments(key, 'c.efi');
    const wrong = ['--passphrase-file', path('wrong')];
    expect(await run([...args(path('encrypted.key')), ...wrong])).toMatchObject({ code: 'passphrase-wrong' });
    expect(await run(args(path('ed25519.key')))).toMatchObject({ code: 'key-file-invalid', status: 65 });
    expect(await run(args(path('nowhere.key')))).toMatchObject({ status: 66 });
    expect(await run([...args(db.keyFile), '--time', '5'])).toMatchObject({ code: 'efi-signing-failed' });
    expect(existsSync(path('c.efi'))).toBe(false);
  });
});

describe('rpi-image', () => {
  it('writes boot.sig beside the image', async () => {
    const args = ['rpi-image', path('boot.img'), '--key', db.keyFile, '--target-soc', '2712'];
    expect(await run(args, { SOURCE_DATE_EPOCH: '1790000000' })).toMatchObject({ status: 0 });
    const bootSig = parseBootSig(readFileSync(path('boot.sig')));
    expect(bootSig).toMatchObject({ timeSeconds: 1_790_000_000, targetSoc: '2712' });
    const publicKey = createPublicKey(readFileSync(db.certificateFile));
    expect(() => verifyBootSig(bootSig, { image: bootImage, publicKey })).not.toThrow();
  });

  it('makes the image of a folder first when told, the same each time', async () => {
    mkdirSync(path('files/overlays'), { recursive: true });
    writeFileSync(path('files/config.txt'), 'boot_ramdisk=1\n');
    writeFileSync(path('files/overlays/tpm-slb9670.dtbo'), 'an overlay');
    const args = ['rpi-image', path('made.img'), '--from', path('files'), '--key', db.keyFile];
    const images = [];
    for (const name of ['1.sig', '2.sig']) {
      expect(await run([...args, '--out', path(name), '--time', '5'])).toMatchObject({ status: 0 });
      images.push(readFileSync(path('made.img')));
    }
    expect(images[0]).toEqual(images[1]);
    expect(readFileSync(path('1.sig'))).toEqual(readFileSync(path('2.sig')));
    expect(readFatImage(images[0] ?? Buffer.alloc(0))).toEqual(
      new Map([
        ['config.txt', 'boot_ramdisk=1\n'],
        ['overlays/tpm-slb9670.dtbo', 'an overlay'],
      ]),
    );
    symlinkSync('/etc/passwd', path('files/link'));
    expect(await run(args)).toMatchObject({ code: 'boot-files-invalid', status: 65 });
  });

  it('writes nothing for what is not a disk image', async () => {
    const args = ['rpi-image', path('stage0.efi'), '--key', db.keyFile, '--out', path('other.sig')];
    expect(await run(args)).toMatchObject({ code: 'boot-image-invalid', status: 65 });
    expect(existsSync(path('other.sig'))).toBe(false);
  });
});

/** TPM2_PCR_Extend, from zero. */
const extended = (...digests: Uint8Array[]) =>
  toHex(digests.reduce((pcr, digest) => sha256(pcr, digest), new Uint8Array(32)));

describe('predict', () => {
  it('says PCR 4 and 11 by the rules of firmware and stub, signed or not', async () => {
    const firmware = [
      sha256(utf8Bytes('Calling EFI Application from Boot Option')),
      sha256(new Uint8Array(4)),
      authenticodeSha256(stage0),
    ];
    const { stdout } = await run(['predict', path('stage0.efi'), '-o', 'json']);
    const prediction = JSON.parse(stdout);
    expect(prediction.pcrs.sha256['4']).toBe(extended(...firmware));
    expect(prediction.pcr4WithoutSecureBoot).toBe(extended(...firmware, authenticodeSha256(kernel)));
    expect(Object.keys(prediction.sections)).toEqual(['.linux', '.osrel', '.cmdline', '.initrd']);
    writeFileSync(path('signed.efi'), await signEfi({ ...db, image: stage0, epochSeconds: Number(time) }));
    expect(await run(['predict', path('signed.efi'), '-o', 'json'])).toMatchObject({ status: 0, stdout });
    expect((await run(['predict', path('signed.efi')])).stdout).toContain(prediction.pcrs.sha256['11']);
  });

  it('refuses an image that is no stage-0', async () => {
    writeFileSync(path('kernel.efi'), kernel);
    expect(await run(['predict', path('kernel.efi')])).toMatchObject({ code: 'uki-invalid', status: 65 });
  });
});

const DEMO = 'build/demo';
const [evidence] = ['2-boot-accept.json']
  .map((name) => join(DEMO, 'evidence', name))
  .filter((file) => existsSync(file))
  .map((file) => JSON.parse(readFileSync(file, 'utf8')));
const booted =
  evidence && demoStage0(JSON.parse(Buffer.from(evidence.claims, 'base64').toString()).stage0Build);

/** Where the demo's repository has the build that the machine says it runs. */
function demoStage0(build: number): string | undefined {
  const [digest] = globSync(join(DEMO, 'repository/metadata/*.stage0.json'))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')).signed.targets[`stage0/x86-64-${build}.efi`])
    .flatMap((target) => (target === undefined ? [] : [target.hashes.sha256]));
  return digest && join(DEMO, 'repository/artifacts', digest);
}

/** What `make demo` left: a machine's quote, and the repository that its stage-0 is from. */
describe.skipIf(booted === undefined || !existsSync(booted))('what the demo booted', () => {
  it('is predicted as QEMU’s TPM quoted it', async () => {
    const quoted = evidence.pcrs.sha256;
    const { stdout } = await run(['predict', booted ?? '', '-o', 'json']);
    expect(JSON.parse(stdout).pcrs.sha256).toEqual({ 4: quoted['4'], 11: quoted['11'] });
  });

  it('carries a signature in the one form that we write, which OVMF with Secure Boot on took', () => {
    const certificate = new X509Certificate(readFileSync(join(DEMO, 'repository/keys/secure-boot/db.crt')));
    expect(verifyEfi(readFileSync(booted ?? ''), certificate).signatures).toBe(1);
  });
});
