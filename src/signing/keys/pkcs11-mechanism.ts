import { type KeyObject, verify } from 'node:crypto';
import { concatBytes, fromHex, sha256 } from '../../core/bytes.ts';
import { type Scheme, verifyWithKey } from '../public-key.ts';

/** What is asked of tokens: three of the schemes of TUF metadata, and what Secure Boot and the Pi want. */
export type HsmAlgorithm = Exclude<Scheme, 'ml-dsa-65'> | 'rsa-pkcs1-sha256';

/** A CK_MECHANISM. */
export interface Mechanism {
  readonly type: number;
  readonly pss?: { readonly hash: number; readonly mgf: number; readonly saltBytes: number };
}

interface MechanismRow {
  readonly mechanism: Mechanism;
  /** What the token gets of a message. */
  input(message: Uint8Array): Uint8Array;
  /** What the token answers, in our encoding (public-key.ts). */
  encode(signature: Uint8Array): Uint8Array;
  verify(message: Uint8Array, publicKey: KeyObject, signature: Uint8Array): boolean;
}

const same = (bytes: Uint8Array) => bytes;
const SALT_BYTES = 32;
/** RFC 8017 section 9.2, note 1: DigestInfo up to the SHA-256 digest. */
const SHA256_DIGEST_INFO = fromHex('3031300d060960864801650304020105000420');

/** PKCS#11 2.40 mechanisms, 3.0 for EdDSA. Where the token need not see the message, it sees the digest. */
export const MECHANISMS: Readonly<Record<HsmAlgorithm, MechanismRow>> = {
  /** CKM_EDDSA without parameters: Ed25519, pure. */
  ed25519: {
    mechanism: { type: 0x1057 },
    input: same,
    encode: same,
    verify: verifierOf('ed25519'),
  },
  /** CKM_ECDSA answers r and s, 32 bytes each. */
  'ecdsa-sha2-nistp256': {
    mechanism: { type: 0x1041 },
    input: (message) => sha256(message),
    encode: ecdsaSigValue,
    verify: verifierOf('ecdsa-sha2-nistp256'),
  },
  /** CKM_SHA256_RSA_PKCS_PSS with CKM_SHA256 and CKG_MGF1_SHA256. */
  'rsassa-pss-sha256': {
    mechanism: { type: 0x43, pss: { hash: 0x250, mgf: 0x2, saltBytes: SALT_BYTES } },
    input: same,
    encode: same,
    verify: verifierOf('rsassa-pss-sha256'),
  },
  /** CKM_RSA_PKCS: images are large, and every token has it. */
  'rsa-pkcs1-sha256': {
    mechanism: { type: 0x1 },
    input: (message) => concatBytes(SHA256_DIGEST_INFO, sha256(message)),
    encode: same,
    verify: (message, key, signature) => verify('sha256', message, key, signature),
  },
};

function verifierOf(scheme: Scheme): MechanismRow['verify'] {
  return (message, publicKey, signature) => verifyWithKey(publicKey, scheme, message, signature);
}

/** Ecdsa-Sig-Value (RFC 3279 section 2.2.3). Of another length it stays as it is, and will not verify. */
export function ecdsaSigValue(pair: Uint8Array): Uint8Array {
  if (pair.length !== 64) return pair;
  const both = concatBytes(derInteger(pair.subarray(0, 32)), derInteger(pair.subarray(32)));
  return concatBytes(Uint8Array.of(0x30, both.length), both);
}

/** The shortest encoding, with a zero in front of what would be negative (X.690 section 8.3). */
function derInteger(bytes: Uint8Array): Uint8Array {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = first < 0 ? Uint8Array.of(0) : bytes.subarray(first);
  const padding = (digits[0] ?? 0) >= 0x80 ? [0] : [];
  return concatBytes(Uint8Array.of(0x02, digits.length + padding.length, ...padding), digits);
}
