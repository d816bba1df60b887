import type { KeyObject } from 'node:crypto';
import { keyIdOf, signWithKey, type TufKey, tufKeyOf } from './public-key.ts';

/**
 * Whatever holds a private key: a file opened with its passphrase, an HSM, a program. Never answers with a
 * signature that it is not sure of; never retries by itself.
 */
export interface Signer {
  readonly keyId: string;
  readonly key: TufKey;
  /** Over exactly these bytes, in the encoding of the key's scheme (public-key.ts). */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** @throws {PublicKeyError} when the key is of a kind that we do not use */
export function createKeySigner(privateKey: KeyObject): Signer {
  const key = tufKeyOf(privateKey);
  return { key, keyId: keyIdOf(key), sign: async (message) => signWithKey(privateKey, key.scheme, message) };
}
