import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { open } from 'node:fs/promises';
import { asciiBytes } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { isErrno } from '../../core/errno.ts';
import { ed25519KeyOf, keyIdOf, type TufKey } from '../public-key.ts';
import { KeyError } from './key-error.ts';

/** A key that a service holds itself: in a file of its own, unencrypted, since it must start unattended. */
export interface ServerKey {
  readonly keyId: string;
  readonly key: TufKey;
  readonly privateKey: KeyObject;
  readonly publicKey: KeyObject;
}

/**
 * The Ed25519 key in this file (PKCS#8, PEM, 0600), made on first start. What is there is never replaced:
 * a damaged or exposed file stops the service, since a new key would make every node refuse it. Two
 * services starting at once agree on one key.
 *
 * @throws {KeyError} `key-file-invalid`, `key-file-exposed`
 */
export async function loadOrCreateServerKey(path: string): Promise<ServerKey> {
  return (await loadServerKey(path)) ?? (await createServerKey(path));
}

async function createServerKey(path: string): Promise<ServerKey> {
  const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  try {
    await writeFileDurably({ path, contents: asciiBytes(pem.toString()), mode: 0o600, replace: false });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
  }
  const key = await loadServerKey(path);
  if (key === undefined) throw new KeyError('key-file-missing', `${path} went away while it was read`);
  return key;
}

async function loadServerKey(path: string): Promise<ServerKey | undefined> {
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  try {
    const privateKey = createPrivateKey(text);
    const key = ed25519KeyOf(privateKey);
    return { key, keyId: keyIdOf(key), privateKey, publicKey: createPublicKey(privateKey) };
  } catch (cause) {
    throw new KeyError('key-file-invalid', `${path} holds no Ed25519 private key`, { cause });
  }
}

/** Permissions are read from the open file, not from a name that may change in between. */
async function readPrivateFile(path: string): Promise<string | undefined> {
  const file = await open(path, 'r').catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const { mode } = await file.stat();
    if ((mode & 0o077) !== 0)
      throw new KeyError(
        'key-file-exposed',
        `${path} is open to others: chmod 600, and think of replacing it`,
      );
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
