import { createPublicKey, type KeyObject } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, concatBytes, fromHex, sha256, toHex } from '../core/bytes.ts';
import { CodedError } from '../core/errors.ts';

/** A public key as TUF metadata writes it (specification 1.0, section 4.2). */
export interface TufKey {
  readonly keytype: 'ed25519';
  readonly scheme: 'ed25519';
  readonly keyval: { readonly public: string };
}

export class Ed25519Error extends CodedError<'key-invalid'> {
  constructor(message: string) {
    super('key-invalid', message);
  }
}

export const ED25519_SIGNATURE_BYTES = 64;

const RAW_KEY = /^[0-9a-f]{64}$/;
/** RFC 8410 section 4: SubjectPublicKeyInfo up to the 32 key bytes. */
const SPKI_PREFIX = fromHex('302a300506032b6570032100');

/** @throws {Ed25519Error} when the key is of another type */
export function tufKeyOf(key: KeyObject): TufKey {
  if (key.asymmetricKeyType !== 'ed25519')
    throw new Ed25519Error(`expected an Ed25519 key, this one is ${key.asymmetricKeyType ?? 'symmetric'}`);
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const spki = publicKey.export({ type: 'spki', format: 'der' });
  return {
    keytype: 'ed25519',
    scheme: 'ed25519',
    keyval: { public: toHex(spki.subarray(SPKI_PREFIX.length)) },
  };
}

/** @throws {Ed25519Error} when `keyval.public` is not 64 lower-case hex digits */
export function publicKeyOf(key: TufKey): KeyObject {
  if (!RAW_KEY.test(key.keyval.public))
    throw new Ed25519Error('an Ed25519 public key is 64 lower-case hex digits');
  const der = concatBytes(SPKI_PREFIX, fromHex(key.keyval.public));
  return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
}

/** TUF 1.0 section 4.2: the key id is the SHA-256 of the key's canonical form, hex. */
export function keyIdOf(key: TufKey): string {
  return toHex(sha256(asciiBytes(canonicalize(key))));
}
