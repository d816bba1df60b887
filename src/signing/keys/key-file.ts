import { readFile } from 'node:fs/promises';
import { writeFileDurably } from '../../core/durable-file.ts';
import { isErrno } from '../../core/errno.ts';
import { systemRandom } from '../../core/random.ts';
import { createPrivateKeyFor, type Scheme } from '../public-key.ts';
import { createKeySigner, type Signer } from '../signer.ts';
import {
  decryptKey,
  type EncryptedKey,
  encodeEncryptedKey,
  encryptKey,
  parseEncryptedKey,
} from './encrypted-key.ts';
import { KeyError } from './key-error.ts';

/**
 * Makes a new key in a new file, 0600, durable before this returns. A file that is already there is never
 * touched.
 *
 * @throws {KeyError} `key-file-exists`
 */
export async function createKeyFile(input: {
  path: string;
  passphrase: string;
  logN?: number;
  scheme?: Scheme;
}): Promise<Signer> {
  const privateKey = createPrivateKeyFor(input.scheme ?? 'ed25519');
  const encrypted = await encryptKey({ ...input, privateKey, random: systemRandom });
  try {
    await writeFileDurably({
      path: input.path,
      contents: encodeEncryptedKey(encrypted),
      mode: 0o600,
      replace: false,
    });
  } catch (cause) {
    if (!isErrno(cause, 'EEXIST')) throw cause;
    throw new KeyError('key-file-exists', `${input.path} is already there and stays as it is`, { cause });
  }
  return createKeySigner(privateKey);
}

/** @throws {KeyError} `key-file-missing`, `key-file-invalid` */
export async function loadKeyFile(path: string): Promise<EncryptedKey> {
  try {
    return parseEncryptedKey(await readFile(path));
  } catch (cause) {
    if (cause instanceof KeyError) throw new KeyError(cause.code, `${path}: ${cause.message}`, { cause });
    if (!isErrno(cause, 'ENOENT')) throw cause;
    throw new KeyError('key-file-missing', `${path} is not there`, { cause });
  }
}

/** @throws {KeyError} also `passphrase-wrong` */
export async function openKeyFile(path: string, passphrase: string): Promise<Signer> {
  const encrypted = await loadKeyFile(path);
  try {
    return createKeySigner(await decryptKey(encrypted, passphrase));
  } catch (cause) {
    if (cause instanceof KeyError) throw new KeyError(cause.code, `${path}: ${cause.message}`, { cause });
    throw cause;
  }
}
