import { type KeyObject, sign } from 'node:crypto';
import { keyIdOf, type TufKey, tufKeyOf } from './ed25519.ts';

/**
 * Whatever holds an Ed25519 key: a file opened with its passphrase today, an HSM or a signing service
 * another day. Never answers with a signature that it is not sure of; never retries by itself.
 */
export interface Signer {
  readonly keyId: string;
  readonly key: TufKey;
  /** 64 bytes over exactly these bytes (RFC 8032, pure Ed25519). */
  sign(message: Uint8Array): Promise<Uint8Array>;
}

/** @throws {Ed25519Error} when the key is not Ed25519 */
export function createKeySigner(privateKey: KeyObject): Signer {
  const key = tufKeyOf(privateKey);
  return { key, keyId: keyIdOf(key), sign: async (message) => sign(null, message, privateKey) };
}
