import { createCipheriv, createDecipheriv, type ScryptOptions, scrypt } from 'node:crypto';
import { fromBase64, toBase64, utf8Bytes } from '../../core/bytes.ts';
import { systemRandom } from '../../core/random.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import {
  DEFAULT_SCRYPT_LOG_N,
  MAX_SCRYPT_LOG_N,
  MIN_SCRYPT_LOG_N,
} from '../../signing/keys/encrypted-key.ts';
import { BackupError } from './backup-error.ts';
import type { ByteReader } from './byte-reader.ts';

/**
 * scrypt and AES-256-GCM as for key files, in chunks, so that a backup of any size streams. The key is new
 * with each backup's salt; a chunk's nonce is its number and whether it is the last, so chunks can be
 * neither reordered nor left out nor cut off. The header is authenticated with every chunk.
 */
export interface Encryption {
  readonly logN: number;
  readonly salt: Uint8Array;
}

const CHUNK_BYTES = 1024 * 1024;
const TAG_BYTES = 16;
const SALT_BYTES = 16;
const SCRYPT_R = 8;
const CIPHER = 'aes-256-gcm';

export function newEncryption(logN = DEFAULT_SCRYPT_LOG_N): Encryption {
  return { logN, salt: systemRandom(SALT_BYTES) };
}

export function encodeEncryption({ logN, salt }: Encryption): JsonObject {
  return { kdf: { name: 'scrypt', logN, r: SCRYPT_R, p: 1, salt: toBase64(salt) }, cipher: CIPHER };
}

/** @throws {Error} in words */
export function parseEncryption(value: JsonValue): Encryption {
  const kdf = isJsonObject(value) && isJsonObject(value.kdf) ? value.kdf : {};
  const { logN, salt } = kdf;
  if (typeof logN !== 'number' || typeof salt !== 'string') throw new Error('"kdf" is not scrypt');
  if (!Number.isInteger(logN) || logN < MIN_SCRYPT_LOG_N || logN > MAX_SCRYPT_LOG_N)
    throw new Error(`"logN" is not an integer from ${MIN_SCRYPT_LOG_N} to ${MAX_SCRYPT_LOG_N}`);
  const encryption = { logN, salt: fromBase64(salt) };
  // One value has one spelling.
  if (JSON.stringify(encodeEncryption(encryption)) !== JSON.stringify(value))
    throw new Error('unknown encryption');
  return encryption;
}

export async function* encrypt(
  plain: AsyncIterable<Uint8Array>,
  { encryption, passphrase, header }: { encryption: Encryption; passphrase: string; header: Uint8Array },
): AsyncGenerator<Buffer> {
  const key = await deriveKey(passphrase, encryption);
  let pending: Uint8Array[] = [];
  let length = 0;
  let counter = 0;
  const seal = (chunk: Uint8Array, isLast: boolean): Buffer => {
    const cipher = createCipheriv(CIPHER, key, nonceOf(counter++, isLast)).setAAD(header);
    return Buffer.concat([cipher.update(chunk), cipher.final(), cipher.getAuthTag()]);
  };
  for await (const bytes of plain) {
    pending.push(bytes);
    length += bytes.length;
    if (length <= CHUNK_BYTES) continue;
    const all = Buffer.concat(pending);
    // The last chunk is never empty, and is known only when there is no more.
    let at = 0;
    for (; all.length - at > CHUNK_BYTES; at += CHUNK_BYTES)
      yield seal(all.subarray(at, at + CHUNK_BYTES), false);
    pending = [all.subarray(at)];
    length = all.length - at;
  }
  yield seal(Buffer.concat(pending), true);
}

/** @throws {BackupError} `passphrase-wrong` by the first chunk, `backup-damaged` by any later one */
export async function* decrypt(
  sealed: ByteReader,
  { encryption, passphrase, header }: { encryption: Encryption; passphrase: string; header: Uint8Array },
): AsyncGenerator<Buffer> {
  const key = await deriveKey(passphrase, encryption);
  for (let counter = 0, isLast = false; !isLast; counter += 1) {
    const chunk = await sealed.upTo(CHUNK_BYTES + TAG_BYTES);
    isLast = await sealed.isAtEnd();
    yield open(chunk, { key, header, counter, isLast });
  }
}

function open(
  chunk: Buffer,
  { key, header, counter, isLast }: { key: Buffer; header: Uint8Array; counter: number; isLast: boolean },
): Buffer {
  const tagAt = chunk.length - TAG_BYTES;
  try {
    if (tagAt < 0) throw new Error('no tag');
    const decipher = createDecipheriv(CIPHER, key, nonceOf(counter, isLast), { authTagLength: TAG_BYTES })
      .setAAD(header)
      .setAuthTag(chunk.subarray(tagAt));
    return Buffer.concat([decipher.update(chunk.subarray(0, tagAt)), decipher.final()]);
  } catch (cause) {
    if (counter > 0) throw new BackupError('backup-damaged', `chunk ${counter} is damaged`, { cause });
    throw new BackupError('passphrase-wrong', 'the passphrase does not open this backup, or it is damaged', {
      cause,
    });
  }
}

function nonceOf(counter: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(12);
  nonce.writeUIntBE(counter, 5, 6);
  nonce[11] = isLast ? 1 : 0;
  return nonce;
}

function deriveKey(passphrase: string, { logN, salt }: Encryption): Promise<Buffer> {
  const N = 2 ** logN;
  const options: ScryptOptions = { N, r: SCRYPT_R, p: 1, maxmem: 129 * N * SCRYPT_R };
  return new Promise((resolve, reject) => {
    scrypt(utf8Bytes(passphrase.normalize('NFC')), salt, 32, options, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}
