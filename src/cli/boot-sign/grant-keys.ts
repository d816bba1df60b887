import { createPublicKey } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isJsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import { isSha256Hex } from '../../signing/names.ts';
import { ed25519KeyOf, keyIdOf, type TufKey } from '../../signing/public-key.ts';
import { UsageError } from './usage-error.ts';

/**
 * The boot server's public grant keys from a file: what `GET /admin/v1/grant-keys` answers (keys by id), one
 * key as TUF writes it, or a PEM public key.
 */
export async function loadGrantKeys(path: string): Promise<readonly TufKey[]> {
  const text = await readFile(path, 'utf8');
  if (text.includes('PRIVATE KEY'))
    throw new UsageError(`${path} holds a private key: the grant key's public half is wanted here`);
  if (text.startsWith('-----BEGIN PUBLIC KEY-----')) return [ed25519KeyOf(createPublicKey(text))];
  const document = parseStrictJson(text, { maxBytes: 16 * 1024 });
  const single = toTufKey(document);
  if (single !== undefined) return [single];
  const keys = isJsonObject(document) ? Object.entries(document) : [];
  if (keys.length === 0) throw notGrantKeys(path);
  return keys.map(([keyId, value]) => {
    const key = toTufKey(value);
    if (key === undefined || keyIdOf(key) !== keyId) throw notGrantKeys(path);
    return key;
  });
}

function toTufKey(value: JsonValue): TufKey | undefined {
  if (!isJsonObject(value) || !isJsonObject(value.keyval)) return undefined;
  const { public: publicKey } = value.keyval;
  if (value.keytype !== 'ed25519' || value.scheme !== 'ed25519' || !isSha256Hex(publicKey)) return undefined;
  return { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: publicKey } };
}

function notGrantKeys(path: string): UsageError {
  return new UsageError(`${path} holds no Ed25519 public key, neither as PEM nor as TUF writes it`);
}
