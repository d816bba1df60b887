import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  type KeyObject,
  type ScryptOptions,
  scrypt,
} from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, concatBytes, fromBase64, toBase64, utf8Bytes } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { RandomSource } from '../../core/random.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { keyIdOf, type TufKey, tufKeyOf } from '../public-key.ts';
import { readTufKey } from '../read-tuf-key.ts';
import { KeyError } from './key-error.ts';

// The file of one private key under a passphrase:
//
//   {"format": "bootward-key-v1", "keyId": hex, "key": {the public key, as TUF writes it},
//    "kdf": {"name": "scrypt", "logN": 17, "r": 8, "p": 1, "salt": base64 of 16 bytes},
//    "cipher": {"name": "aes-256-gcm", "nonce": base64 of 12 bytes},
//    "ciphertext": base64 of the encrypted PKCS#8 and its 16-byte tag}
//
// All members but the ciphertext are authenticated with it: public half and parameters cannot be changed
// under a key.

export const KEY_FORMAT = 'bootward-key-v1';
export const MAX_KEY_FILE_BYTES = 32 * 1024;

/** RFC 7914; 2^17 with r = 8 takes 128 MiB and some tenths of a second. */
export const DEFAULT_SCRYPT_LOG_N = 17;
export const MIN_SCRYPT_LOG_N = 12;
export const MAX_SCRYPT_LOG_N = 20;

export interface EncryptedKey {
  readonly keyId: string;
  readonly key: TufKey;
  readonly logN: number;
  readonly salt: Uint8Array;
  readonly nonce: Uint8Array;
  readonly ciphertext: Uint8Array;
}

const SCRYPT_R = 8;
const SALT_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CIPHER = 'aes-256-gcm';

export async function encryptKey(input: {
  privateKey: KeyObject;
  passphrase: string;
  random: RandomSource;
  logN?: number;
}): Promise<EncryptedKey> {
  const key = tufKeyOf(input.privateKey);
  const parameters = {
    keyId: keyIdOf(key),
    key,
    logN: input.logN ?? DEFAULT_SCRYPT_LOG_N,
    salt: input.random(SALT_BYTES),
    nonce: input.random(NONCE_BYTES),
  };
  const secret = await deriveSecret(input.passphrase, parameters);
  const cipher = createCipheriv(CIPHER, secret, parameters.nonce).setAAD(authenticated(parameters));
  const plain = input.privateKey.export({ type: 'pkcs8', format: 'der' });
  const ciphertext = concatBytes(cipher.update(plain), cipher.final(), cipher.getAuthTag());
  return { ...parameters, ciphertext };
}

/** @throws {KeyError} `passphrase-wrong`: a wrong passphrase and an altered file cannot be told apart */
export async function decryptKey(encrypted: EncryptedKey, passphrase: string): Promise<KeyObject> {
  const secret = await deriveSecret(passphrase, encrypted);
  const tagAt = encrypted.ciphertext.length - TAG_BYTES;
  const decipher = createDecipheriv(CIPHER, secret, encrypted.nonce, { authTagLength: TAG_BYTES })
    .setAAD(authenticated(encrypted))
    .setAuthTag(encrypted.ciphertext.subarray(tagAt));
  let plain: Buffer;
  try {
    plain = Buffer.concat([decipher.update(encrypted.ciphertext.subarray(0, tagAt)), decipher.final()]);
  } catch (cause) {
    throw new KeyError('passphrase-wrong', 'the passphrase does not open this key', { cause });
  }
  return createPrivateKey({ key: plain, format: 'der', type: 'pkcs8' });
}

export function encodeEncryptedKey(encrypted: EncryptedKey): Uint8Array {
  const document = { ...header(encrypted), ciphertext: toBase64(encrypted.ciphertext) };
  return asciiBytes(`${JSON.stringify(document, null, 2)}\n`);
}

/** @throws {KeyError} `key-file-invalid` */
export function parseEncryptedKey(bytes: Uint8Array): EncryptedKey {
  try {
    return readDocument(bytes);
  } catch (cause) {
    throw new KeyError('key-file-invalid', `not a ${KEY_FORMAT} file: ${messageOf(cause)}`, { cause });
  }
}

type Parameters = Omit<EncryptedKey, 'ciphertext'>;

function header({ keyId, key, logN, salt, nonce }: Parameters) {
  return {
    format: KEY_FORMAT,
    keyId,
    key,
    kdf: { name: 'scrypt', logN, r: SCRYPT_R, p: 1, salt: toBase64(salt) },
    cipher: { name: CIPHER, nonce: toBase64(nonce) },
  };
}

function authenticated(parameters: Parameters): Uint8Array {
  return asciiBytes(canonicalize(header(parameters)));
}

function readDocument(bytes: Uint8Array): EncryptedKey {
  const document = parseStrictJson(bytes, { maxBytes: MAX_KEY_FILE_BYTES, maxDepth: 4 });
  if (!isJsonObject(document)) throw new Error('not an object');
  const kdf = member(document, 'kdf');
  const cipher = member(document, 'cipher');
  const parsed: EncryptedKey = {
    keyId: text(document, 'keyId'),
    key: readTufKey(document.key),
    logN: readLogN(kdf),
    salt: fixedBytes(kdf, 'salt', SALT_BYTES),
    nonce: fixedBytes(cipher, 'nonce', NONCE_BYTES),
    ciphertext: fromBase64(text(document, 'ciphertext')),
  };
  if (parsed.keyId !== keyIdOf(parsed.key)) throw new Error('"keyId" is not the id of "key"');
  if (parsed.ciphertext.length <= TAG_BYTES) throw new Error('"ciphertext" is too short');
  // One value has one spelling: what we would write is what must be there.
  const { ciphertext: _, ...rest } = document;
  if (canonicalize(rest) !== canonicalize(header(parsed))) throw new Error('unknown member or parameter');
  return parsed;
}

function readLogN({ logN }: JsonObject): number {
  if (
    typeof logN !== 'number' ||
    !Number.isInteger(logN) ||
    logN < MIN_SCRYPT_LOG_N ||
    logN > MAX_SCRYPT_LOG_N
  )
    throw new Error(`"logN" is not an integer from ${MIN_SCRYPT_LOG_N} to ${MAX_SCRYPT_LOG_N}`);
  return logN;
}

function fixedBytes(object: JsonObject, name: string, length: number): Uint8Array {
  const bytes = fromBase64(text(object, name));
  if (bytes.length !== length) throw new Error(`"${name}" has not ${length} bytes`);
  return bytes;
}

function member(object: JsonObject, name: string): JsonObject {
  const value = object[name];
  if (!isJsonObject(value)) throw new Error(`"${name}" is not an object`);
  return value;
}

function text(object: JsonObject, name: string): string {
  const value = object[name];
  if (typeof value !== 'string') throw new Error(`"${name}" is not a string`);
  return value;
}

function deriveSecret(passphrase: string, { logN, salt }: Parameters): Promise<Buffer> {
  const N = 2 ** logN;
  const options: ScryptOptions = { N, r: SCRYPT_R, p: 1, maxmem: 129 * N * SCRYPT_R };
  return new Promise((resolve, reject) => {
    scrypt(utf8Bytes(passphrase.normalize('NFC')), salt, 32, options, (error, secret) =>
      error ? reject(error) : resolve(secret),
    );
  });
}
