import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadTlsFolder, type TlsIdentity } from '../../src/boot-server/tls/tls-folder.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const HOSTS = ['127.0.0.1', '::1', 'localhost', 'boot.example.net'];
const clock = { nowMs: () => Date.UTC(2026, 10, 21) };
const FILES = ['agents.key', 'agents.pem', 'ca.key', 'ca.pem', 'firmware.key', 'firmware.pem'];

/** Made once; each test works on a copy. */
let made: string;
let identity: TlsIdentity;

beforeAll(async () => {
  made = await mkdtemp(join(tmpdir(), 'bootward-test-'));
  identity = await load(made);
});
afterAll(() => rm(made, { recursive: true }));

function load(folder: string, publicHosts = HOSTS, now = clock): Promise<TlsIdentity> {
  return loadTlsFolder({ folder, publicHosts, clock: now });
}

async function copied(): Promise<string> {
  const folder = join(await temporaryFolder(), 'tls');
  await cp(made, folder, { recursive: true });
  return folder;
}

async function contents(folder: string): Promise<Record<string, string>> {
  const names = (await readdir(folder)).sort();
  return Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')])),
  );
}

describe('first start', () => {
  it('makes a CA and two certificates, private keys for the owner alone', async () => {
    expect((await readdir(made)).sort()).toEqual(FILES);
    for (const name of FILES.filter((file) => file.endsWith('.key')))
      expect((await stat(join(made, name))).mode & 0o777).toBe(0o600);
  });

  it('certificates satisfy OpenSSL at its strictest, from before any firmware was built', () => {
    const path = (name: string): string => join(made, name);
    for (const door of ['firmware', 'agents']) {
      const args = [
        'verify',
        '-x509_strict',
        '-purpose',
        'sslserver',
        '-verify_ip',
        '127.0.0.1',
        '-auth_level',
        '3',
      ];
      for (const moment of [Date.UTC(2020, 5), Date.UTC(2049, 5)]) {
        const at = ['-attime', String(moment / 1000), '-CAfile', path('ca.pem'), path(`${door}.pem`)];
        expect(execFileSync('openssl', [...args, ...at], { encoding: 'utf8' })).toContain('OK');
      }
    }
  });

  it('firmware gets RSA-3072 under RSA-3072, agents P-256 under the same CA', () => {
    const of = (pem: string): X509Certificate => new X509Certificate(pem);
    expect(of(identity.firmware.certificate).publicKey.asymmetricKeyDetails).toMatchObject({
      modulusLength: 3072,
    });
    expect(of(identity.authority.pem).publicKey.asymmetricKeyDetails).toMatchObject({ modulusLength: 3072 });
    expect(of(identity.agents.certificate).publicKey.asymmetricKeyDetails).toMatchObject({
      namedCurve: 'prime256v1',
    });
  });

  it('gives the server key of the protocol: the hash that openssl computes', () => {
    const spki = execFileSync('openssl', ['x509', '-in', join(made, 'agents.pem'), '-pubkey', '-noout']);
    const der = execFileSync('openssl', ['pkey', '-pubin', '-outform', 'der'], { input: spki });
    const digest = execFileSync('openssl', ['dgst', '-sha256', '-r'], { input: der, encoding: 'utf8' });
    expect(digest.slice(0, 64)).toBe(identity.agents.spkiSha256);
  });

  it('every serial number is another', async () => {
    const serials = ['ca', 'firmware', 'agents'].map(async (name) => {
      const { serialNumber } = new X509Certificate(await readFile(join(made, `${name}.pem`)));
      expect(serialNumber).toMatch(/^[4-7][0-9A-F]{31}$/);
      return serialNumber;
    });
    expect(new Set(await Promise.all(serials)).size).toBe(3);
  });
});

describe('later starts', () => {
  it('load what is there and write nothing', async () => {
    const folder = await copied();
    expect((await load(folder)).agents).toEqual(identity.agents);
    expect(await contents(folder)).toEqual(await contents(made));
  });

  it.each([
    ['ca.pem', 'agents.key', 'agents.pem', 'firmware.key', 'firmware.pem'],
    ['agents.pem'],
    ['firmware.pem'],
    ['agents.pem', 'agents.key'],
  ])('complete a first start that was killed before %s was written', async (...missing) => {
    const folder = await copied();
    for (const name of missing) await unlink(join(folder, name));
    await load(folder);
    const [before, after] = [await contents(made), await contents(folder)];
    for (const name of FILES.filter((file) => !missing.includes(file)))
      expect(after[name]).toBe(before[name]);
  });

  it('sweep what a killed start left half-written', async () => {
    const folder = await copied();
    await writeFile(join(folder, `.bootward-${'0'.repeat(24)}.tmp`), 'half a key');
    await load(folder);
    expect((await readdir(folder)).sort()).toEqual(FILES);
  });

  it('need no CA key once both doors have a certificate', async () => {
    const folder = await copied();
    await unlink(join(folder, 'ca.key'));
    expect((await load(folder)).firmware).toEqual(identity.firmware);
  });

  it('issue again for the same key when a certificate is moved away', async () => {
    const folder = await copied();
    await rename(join(folder, 'agents.pem'), join(folder, 'agents.pem.old'));
    const again = await load(folder, [...HOSTS, '10.0.0.5']).catch((cause: Error) => cause);
    expect(again).toMatchObject({
      code: 'tls-hosts-not-covered',
      message: expect.stringContaining('firmware.pem'),
    });
    await rename(join(folder, 'firmware.pem'), join(folder, 'firmware.pem.old'));
    expect((await load(folder, [...HOSTS, '10.0.0.5'])).agents.spkiSha256).toBe(identity.agents.spkiSha256);
  });
});

describe('what a start refuses, replacing nothing', () => {
  const swap = async (folder: string, a: string, b: string): Promise<void> => {
    await cp(join(folder, b), join(folder, a));
  };

  it.each([
    ['a leaf without the CA that issued it', 'tls-incomplete', (f: string) => unlink(join(f, 'ca.pem'))],
    ['a certificate without its key', 'tls-incomplete', (f: string) => unlink(join(f, 'agents.key'))],
    [
      'a key of another certificate',
      'tls-key-mismatch',
      (f: string) => swap(f, 'agents.key', 'firmware.key'),
    ],
    ['a CA key of another CA', 'tls-key-mismatch', (f: string) => swap(f, 'ca.key', 'firmware.key')],
    [
      'a leaf in place of the CA',
      'tls-not-our-authority',
      (f: string) => swap(f, 'ca.pem', 'firmware.pem').then(() => unlink(join(f, 'ca.key'))),
    ],
    [
      'a file that is no certificate',
      'tls-unreadable',
      (f: string) => writeFile(join(f, 'agents.pem'), 'hello'),
    ],
    ['a file that is no key', 'tls-unreadable', (f: string) => writeFile(join(f, 'firmware.key'), '')],
    [
      'an ECDSA certificate on the firmware door',
      'tls-key-kind',
      (f: string) => swap(f, 'firmware.key', 'agents.key').then(() => swap(f, 'firmware.pem', 'agents.pem')),
    ],
  ])('%s', async (_name, code, damage) => {
    const folder = await copied();
    await damage(folder);
    const before = await contents(folder);
    await expect(load(folder)).rejects.toMatchObject({ code });
    expect(await contents(folder)).toEqual(before);
  });

  it('certificates of another CA', async () => {
    const folder = await copied();
    const other = join(await temporaryFolder(), 'other');
    await mkdir(other);
    await load(other);
    for (const name of ['ca.key', 'ca.pem']) await cp(join(other, name), join(folder, name));
    await expect(load(folder)).rejects.toMatchObject({ code: 'tls-not-our-authority' });
  });

  it('a host that the certificates do not name, and says what to do', async () => {
    await expect(load(await copied(), ['10.9.9.9'])).rejects.toThrow(
      /firmware\.pem does not name 10\.9\.9\.9.*move it away/,
    );
  });

  it('O9 certificates that have expired', async () => {
    const later = { nowMs: () => Date.UTC(2050, 0, 1) };
    await expect(load(await copied(), HOSTS, later)).rejects.toMatchObject({ code: 'tls-expired' });
  });
});
