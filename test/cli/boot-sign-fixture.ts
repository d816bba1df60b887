import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { runBootSign } from '../../src/cli/boot-sign/program.ts';
import { createSecureBootPair } from '../../src/cli/boot-sign/secure-boot-certificate.ts';
import { SETTINGS_LINE } from '../../src/signing/efi/stage0-image.ts';
import { buildTinyPe } from '../signing/efi/tiny-pe.ts';

export const NOW_MS = Date.parse('2026-11-21T12:00:00Z');
export const PASSPHRASE = 'correct horse battery staple';

export interface Run {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A folder with what a release is made of, and boot-sign run in this process at a fixed time. */
export class SigningDesk {
  readonly folder = mkdtempSync(join(tmpdir(), 'bootward-sign-'));
  readonly repository = join(this.folder, 'repository');
  nowMs = NOW_MS;

  constructor() {
    const { publicKey } = generateKeyPairSync('ed25519');
    this.write('grant.pem', publicKey.export({ type: 'spki', format: 'pem' }));
    this.write('passphrase', `${PASSPHRASE}\n`);
    this.write('wrong', 'another passphrase\n');
    this.write('kernel', buildTinyPe([{ name: '.text', data: Buffer.alloc(600, 7) }]));
    this.write('initramfs', 'an initramfs');
    mkdirSync(this.path('base'));
    this.write('base/vmlinuz', buildTinyPe([{ name: '.text', data: Buffer.alloc(700, 8) }]));
    this.write('base/initramfs.cpio.zst', 'a base initramfs');
    this.write('base/linuxx64.efi.stub', buildTinyPe());
    this.write('base/os-release', `ID=bootward\n${SETTINGS_LINE}\n`);
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  write(name: string, content: string | Uint8Array): void {
    writeFileSync(this.path(name), content, { mode: 0o600 });
  }

  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  async run(...args: string[]): Promise<Run> {
    const stdout = collect();
    const stderr = collect();
    const clock = { nowMs: () => this.nowMs };
    const context = { stdout: stdout.stream, stderr: stderr.stream, clock, environment: {} };
    const status = await runBootSign(args, context);
    return { status, stdout: stdout.text(), stderr: stderr.text() };
  }

  sign(command: string, ...args: string[]): Promise<Run> {
    return this.run(command, this.repository, '--passphrase-file', this.path('passphrase'), ...args);
  }

  async init(...args: string[]): Promise<Run> {
    const { certificate } = await createSecureBootPair('a CA');
    this.write('ca.pem', new X509Certificate(certificate).toString());

    const grantKey = ['--grant-key', this.path('grant.pem')];
    return this.sign('init', ...grantKey, '--channel', 'demo', '--key-cost', '12', ...args);
  }

  release(version: number, ...args: string[]): Promise<Run> {
    const files = ['--kernel', this.path('kernel'), '--initramfs', this.path('initramfs')];
    const names = ['--channel', 'demo', '--version', String(version), '--name', `demo release ${version}`];
    return this.sign('release', ...names, ...files, '--cmdline', 'console=ttyS0 quiet', ...args);
  }

  stage0(build: number, ...args: string[]): Promise<Run> {
    const server = ['--server-url', 'https://10.0.2.2:8444', '--server-ca', this.path('ca.pem')];
    return this.sign('stage0', '--base', this.path('base'), '--build', String(build), ...server, ...args);
  }
}

function collect() {
  const chunks: Buffer[] = [];
  const stream = new Writable({
    write(chunk, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return { stream, text: () => Buffer.concat(chunks).toString() };
}
