import { createPublicKey, generateKeyPairSync, verify } from 'node:crypto';
import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { MIN_SCRYPT_LOG_N } from '../../../src/signing/keys/encrypted-key.ts';
import { createKeyFile, loadKeyFile, openKeyFile } from '../../../src/signing/keys/key-file.ts';
import { loadOrCreateServerKey } from '../../../src/signing/keys/server-key.ts';
import { publicKeyOf } from '../../../src/signing/public-key.ts';

const PASSPHRASE = 'correct horse battery staple';
let folder: string;
let path: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootward-keys-'));
  path = join(folder, 'key');
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const create = () => createKeyFile({ path, passphrase: PASSPHRASE, logN: MIN_SCRYPT_LOG_N });
const modeOf = async (file: string) => (await stat(file)).mode & 0o777;

describe('a key file', () => {
  it('is made for its owner only, and opens to the same key', async () => {
    const made = await create();
    expect(await modeOf(path)).toBe(0o600);
    const opened = await openKeyFile(path, PASSPHRASE);
    expect(opened.keyId).toBe(made.keyId);
    const message = asciiBytes('message');
    expect(verify(null, message, publicKeyOf(made.key), await opened.sign(message))).toBe(true);
  });

  it('is never replaced', async () => {
    await create();
    const before = await readFile(path);
    await expect(create()).rejects.toMatchObject({ code: 'key-file-exists' });
    expect(await readFile(path)).toEqual(before);
    expect(await readdir(folder)).toEqual(['key']);
  });

  it('says which file the passphrase does not open', async () => {
    await create();
    await expect(openKeyFile(path, 'wrong passphrase')).rejects.toMatchObject({
      code: 'passphrase-wrong',
      message: expect.stringContaining(path),
    });
  });

  it('that is missing or damaged is said to be so', async () => {
    await expect(loadKeyFile(path)).rejects.toMatchObject({ code: 'key-file-missing' });
    await writeFile(path, '{}');
    await expect(loadKeyFile(path)).rejects.toMatchObject({ code: 'key-file-invalid' });
  });
});

describe('a server key', () => {
  it('is made on first start, for its owner only, and kept', async () => {
    const first = await loadOrCreateServerKey(path);
    const before = await readFile(path);
    expect(await modeOf(path)).toBe(0o600);
    const second = await loadOrCreateServerKey(path);
    expect(second.keyId).toBe(first.keyId);
    expect(createPublicKey(second.privateKey).equals(first.publicKey)).toBe(true);
    expect(await readFile(path)).toEqual(before);
  });

  it('is one key when several servers start at once', async () => {
    const keys = await Promise.all([1, 2, 3, 4].map(() => loadOrCreateServerKey(path)));
    expect(new Set(keys.map(({ keyId }) => keyId)).size).toBe(1);
    expect(await readdir(folder)).toEqual(['key']);
  });

  it.each([
    ['empty', ''],
    ['damaged', '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'],
    [
      'of another kind',
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ],
  ])('that is %s stops the server and stays as it is', async (_, content) => {
    await writeFile(path, content, { mode: 0o600 });
    await expect(loadOrCreateServerKey(path)).rejects.toMatchObject({ code: 'key-file-invalid' });
    expect(await readFile(path, 'utf8')).toBe(content);
  });

  it.each([0o640, 0o604, 0o620])('that others can use (mode %o) stops the server', async (mode) => {
    await loadOrCreateServerKey(path);
    await chmod(path, mode);
    await expect(loadOrCreateServerKey(path)).rejects.toMatchObject({ code: 'key-file-exposed' });
  });
});
