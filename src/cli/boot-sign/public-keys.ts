import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isJsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import { keyIdOf, PublicKeyError, type TufKey, tufKeyOf } from '../../signing/public-key.ts';
import { readTufKey } from '../../signing/read-tuf-key.ts';
import { UsageError } from './usage-error.ts';

const MAX_BYTES = 64 * 1024;

/**
 * The public keys in a file: PEM, a key as TUF writes it, several of them by id (what `GET
 * /admin/v1/grant-keys` answers), or the readable half of a key file of ours.
 *
 * @throws {UsageError}
 */
export async function loadPublicKeys(path: string): Promise<readonly TufKey[]> {
  const text = await readFile(path, 'utf8');
  if (text.includes('PRIVATE KEY-----'))
    throw new UsageError(`${path} holds a private key: the key's public half is wanted here`);
  const keys = text.startsWith('-----BEGIN PUBLIC KEY-----')
    ? [tufKeyOf(createPublicKey(text))]
    : fromJson(text);
  if (keys.length === 0)
    throw new UsageError(`${path} holds no public key, neither as PEM nor as TUF writes it`);
  return keys;
}

/** @throws {UsageError} when there is not exactly one */
export async function loadPublicKey(path: string): Promise<TufKey> {
  const [key, ...others] = await loadPublicKeys(path);
  if (key === undefined || others.length > 0)
    throw new UsageError(`${path} holds ${others.length + 1} keys, one is wanted here`);
  return key;
}

function fromJson(text: string): readonly TufKey[] {
  const document = parseStrictJson(text, { maxBytes: MAX_BYTES });
  if (!isJsonObject(document)) return [];
  const single = toTufKey(document) ?? toTufKey(document.key ?? null);
  if (single !== undefined) return [single];
  const keys = Object.entries(document).map(([keyId, value]) => {
    const key = toTufKey(value);
    return key !== undefined && keyIdOf(key) === keyId ? key : undefined;
  });
  return keys.every((key) => key !== undefined) ? keys : [];
}

function toTufKey(value: JsonValue): TufKey | undefined {
  try {
    return readTufKey(value);
  } catch (cause) {
    if (cause instanceof PublicKeyError) return undefined;
    throw cause;
  }
}
