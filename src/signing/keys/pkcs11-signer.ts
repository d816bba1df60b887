import { keyIdOf, type TufKey, tufKeyOf } from '../public-key.ts';
import type { Signer } from '../signer.ts';
import type { KeySelector } from './key-reference.ts';
import { HsmError } from './pkcs11-error.ts';
import type { HsmAlgorithm } from './pkcs11-mechanism.ts';
import { publicKeyOfSpki } from './pkcs11-session.ts';
import type { Pkcs11Token } from './pkcs11-token.ts';
import { requireRsaPkcs1Key } from './rsa-pkcs1-key.ts';
import type { RsaPkcs1Signer } from './rsa-pkcs1-signer.ts';

/** The key's kind says what it signs with (public-key.ts). @throws {HsmError} also {PublicKeyError} */
export async function openPkcs11Signer(token: Pkcs11Token, selector: KeySelector): Promise<Signer> {
  const spki = await token.findKey(selector);
  const key = tufKeyOf(publicKeyOfSpki(spki));
  const algorithm = algorithmOf(key);
  return {
    key,
    keyId: keyIdOf(key),
    sign: (message) => token.sign({ key: selector, spki, algorithm, message: copyOf(message) }),
  };
}

/** @throws {HsmError} also {RsaKeyError} */
export async function openPkcs11RsaSigner(
  token: Pkcs11Token,
  selector: KeySelector,
): Promise<RsaPkcs1Signer> {
  const spki = await token.findKey(selector);
  const publicKey = publicKeyOfSpki(spki);
  requireRsaPkcs1Key(publicKey);
  return {
    publicKey,
    sign: (message) =>
      token.sign({ key: selector, spki, algorithm: 'rsa-pkcs1-sha256', message: copyOf(message) }),
  };
}

function algorithmOf({ scheme }: TufKey): HsmAlgorithm {
  if (scheme !== 'ml-dsa-65') return scheme;
  throw new HsmError(
    'hsm-key-unsuitable',
    'ML-DSA keys in HSMs are not supported: keep this one in a key file',
  );
}

/** A view of a larger buffer would cross to the thread with all that lies around it. */
function copyOf(message: Uint8Array): Uint8Array {
  return new Uint8Array(message);
}
