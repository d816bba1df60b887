import { constants, createPublicKey, generateKeyPairSync, type KeyObject, sign, verify } from 'node:crypto';
import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, concatBytes, fromHex, sha256, toHex } from '../core/bytes.ts';
import { CodedError } from '../core/errors.ts';

/** A public key as TUF metadata writes it (specification 1.0, section 4.2). */
export interface TufKey {
  readonly keytype: string;
  readonly scheme: Scheme;
  /** 64 hex digits for ed25519; for the others a SubjectPublicKeyInfo in PEM. */
  readonly keyval: { readonly public: string };
}

export const SCHEMES = ['ed25519', 'ecdsa-sha2-nistp256', 'rsassa-pss-sha256', 'ml-dsa-65'] as const;
export type Scheme = (typeof SCHEMES)[number];

/** Also `key-invalid` for a key that is too weak, or of a kind that we do not use. */
export class PublicKeyError extends CodedError<'key-invalid'> {
  constructor(message: string) {
    super('key-invalid', message);
  }
}

interface Algorithm {
  readonly keytype: string;
  isKind(key: KeyObject): boolean;
  create(): KeyObject;
  sign(message: Uint8Array, privateKey: KeyObject): Uint8Array;
  verify(message: Uint8Array, publicKey: KeyObject, signature: Uint8Array): boolean;
  /** Agents verify with the OpenSSL 3.0 of Debian 12. */
  readonly agentsVerify: boolean;
}

export const ED25519_SIGNATURE_BYTES = 64;
const PSS_SALT_BYTES = 32;
const RSA_BITS: readonly (number | undefined)[] = [3072, 4096];

const pss = (key: KeyObject) => ({
  key,
  padding: constants.RSA_PKCS1_PSS_PADDING,
  saltLength: PSS_SALT_BYTES,
});

/** All that we sign metadata with, or accept: one row each. */
const ALGORITHMS: Readonly<Record<Scheme, Algorithm>> = {
  /** RFC 8032, pure. */
  ed25519: {
    keytype: 'ed25519',
    isKind: ({ asymmetricKeyType }) => asymmetricKeyType === 'ed25519',
    create: () => generateKeyPairSync('ed25519').privateKey,
    sign: (message, key) => sign(null, message, key),
    verify: (message, key, signature) =>
      signature.length === ED25519_SIGNATURE_BYTES && verify(null, message, key, signature),
    agentsVerify: true,
  },
  /** FIPS 186-5 section 6; a signature is an Ecdsa-Sig-Value in DER (RFC 3279 section 2.2.3). */
  'ecdsa-sha2-nistp256': {
    keytype: 'ecdsa',
    isKind: ({ asymmetricKeyType, asymmetricKeyDetails }) =>
      asymmetricKeyType === 'ec' && asymmetricKeyDetails?.namedCurve === 'prime256v1',
    create: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
    sign: (message, key) => sign('sha256', message, key),
    verify: (message, key, signature) => verify('sha256', message, key, signature),
    agentsVerify: true,
  },
  /** RFC 8017 section 8.1 with MGF1-SHA-256 and a salt of 32 bytes. */
  'rsassa-pss-sha256': {
    keytype: 'rsa',
    isKind: ({ asymmetricKeyType, asymmetricKeyDetails }) =>
      asymmetricKeyType === 'rsa' &&
      RSA_BITS.includes(asymmetricKeyDetails?.modulusLength) &&
      asymmetricKeyDetails?.publicExponent === 65537n,
    create: () => generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey,
    sign: (message, key) => sign('sha256', message, pss(key)),
    verify: (message, key, signature) => verify('sha256', message, pss(key), signature),
    agentsVerify: true,
  },
  /** FIPS 204, pure, empty context. */
  'ml-dsa-65': {
    keytype: 'ml-dsa',
    isKind: ({ asymmetricKeyType }) => asymmetricKeyType === 'ml-dsa-65',
    create: () => generateKeyPairSync('ml-dsa-65').privateKey,
    sign: (message, key) => sign(null, message, key),
    verify: (message, key, signature) => verify(null, message, key, signature),
    agentsVerify: false,
  },
};

const RAW_KEY = /^[0-9a-f]{64}$/;
const SIGNATURE_HEX = /^(?:[0-9a-f]{2}){1,4096}$/;
/** RFC 8410 section 4: SubjectPublicKeyInfo up to the 32 key bytes. */
const ED25519_SPKI_PREFIX = fromHex('302a300506032b6570032100');

export function isScheme(value: unknown): value is Scheme {
  return SCHEMES.some((scheme) => scheme === value);
}

/** @param key private or public @throws {PublicKeyError} */
export function tufKeyOf(key: KeyObject): TufKey {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key;
  const scheme = SCHEMES.find((candidate) => ALGORITHMS[candidate].isKind(publicKey));
  if (scheme === undefined)
    throw new PublicKeyError(
      `expected an Ed25519, P-256, RSA-3072, RSA-4096 or ML-DSA-65 key, this one is ${describe(publicKey)}`,
    );
  return {
    keytype: ALGORITHMS[scheme].keytype,
    scheme,
    keyval: { public: spell(scheme, spkiOf(publicKey)) },
  };
}

/** For the boot server's own keys, which sign challenges and grants. @throws {PublicKeyError} */
export function ed25519KeyOf(key: KeyObject): TufKey {
  const tufKey = tufKeyOf(key);
  if (tufKey.scheme === 'ed25519') return tufKey;
  throw new PublicKeyError(`expected an Ed25519 key, this one is for ${tufKey.scheme}`);
}

/** @throws {PublicKeyError} when the key is not spelled as {@link tufKeyOf} would, or is of another kind */
export function publicKeyOf(key: TufKey): KeyObject {
  return decodeKey(key).publicKey;
}

/** TUF 1.0 section 4.2: the key id is the SHA-256 of the key's canonical form, hex. */
export function keyIdOf(key: TufKey): string {
  return toHex(sha256(asciiBytes(canonicalize(key))));
}

/** What makes two keys the same, however they are spelled: SHA-256 of the SubjectPublicKeyInfo, hex. */
export function keyMaterialOf(key: TufKey): string {
  return decodeKey(key).material;
}

export function isVerifiedByAgents({ scheme }: TufKey): boolean {
  return ALGORITHMS[scheme].agentsVerify;
}

/** One encoding for each scheme, of which any other is no signature. @param signature hex */
export function verifySignature(key: TufKey, message: Uint8Array, signature: string): boolean {
  if (!SIGNATURE_HEX.test(signature)) return false;
  return verifyWithKey(publicKeyOf(key), key.scheme, message, fromHex(signature));
}

/** What {@link signWithKey} makes, and nothing else. */
export function verifyWithKey(
  publicKey: KeyObject,
  scheme: Scheme,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return ALGORITHMS[scheme].verify(message, publicKey, signature);
}

export function createPrivateKeyFor(scheme: Scheme): KeyObject {
  return ALGORITHMS[scheme].create();
}

export function signWithKey(privateKey: KeyObject, scheme: Scheme, message: Uint8Array): Uint8Array {
  return ALGORITHMS[scheme].sign(message, privateKey);
}

interface DecodedKey {
  readonly publicKey: KeyObject;
  readonly material: string;
}

/** A key is asked for with each signature and each comparison, and OpenSSL decodes it slower than it verifies. */
const decodedKeys = new WeakMap<TufKey, DecodedKey>();

function decodeKey(key: TufKey): DecodedKey {
  const known = decodedKeys.get(key);
  if (known !== undefined) return known;
  const { keytype, scheme, keyval } = key;
  const algorithm = ALGORITHMS[scheme];
  if (keytype !== algorithm.keytype)
    throw new PublicKeyError(`a key for ${scheme} has keytype ${algorithm.keytype}`);
  const publicKey = scheme === 'ed25519' ? decodeEd25519(keyval.public) : decodePem(keyval.public);
  if (!algorithm.isKind(publicKey))
    throw new PublicKeyError(`${describe(publicKey)} is no key for ${scheme}`);
  const der = spkiOf(publicKey);
  if (!isSpelledAs(spell(scheme, der), keyval.public))
    throw new PublicKeyError(`a key for ${scheme} has another spelling`);
  const decoded = { publicKey, material: toHex(sha256(der)) };
  decodedKeys.set(key, decoded);
  return decoded;
}

function spkiOf(publicKey: KeyObject): Buffer {
  return publicKey.export({ type: 'spki', format: 'der' });
}

/** Hex of the key itself for Ed25519; else PEM as OpenSSL writes it (RFC 7468 section 13). */
function spell(scheme: Scheme, der: Buffer): string {
  if (scheme === 'ed25519') return toHex(der.subarray(ED25519_SPKI_PREFIX.length));
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return ['-----BEGIN PUBLIC KEY-----', ...lines, '-----END PUBLIC KEY-----', ''].join('\n');
}

/** But for the line ends behind a PEM, of which tools write none, one or more; agents do the same. */
function isSpelledAs(encoded: string, text: string): boolean {
  const spelling = encoded.trimEnd();
  return text.startsWith(spelling) && /^\n*$/.test(text.slice(spelling.length));
}

function decodeEd25519(hex: string): KeyObject {
  if (!RAW_KEY.test(hex)) throw new PublicKeyError('an Ed25519 public key is 64 lower-case hex digits');
  const der = concatBytes(ED25519_SPKI_PREFIX, fromHex(hex));
  return createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' });
}

function decodePem(pem: string): KeyObject {
  if (!pem.startsWith('-----BEGIN PUBLIC KEY-----'))
    throw new PublicKeyError('the key is no SubjectPublicKeyInfo in PEM');
  try {
    return createPublicKey(pem);
  } catch {
    throw new PublicKeyError('the key is no SubjectPublicKeyInfo in PEM');
  }
}

function describe({ asymmetricKeyType, asymmetricKeyDetails, type }: KeyObject): string {
  if (asymmetricKeyType === undefined) return type === 'secret' ? 'symmetric' : 'unknown';
  const size = asymmetricKeyDetails?.modulusLength ?? asymmetricKeyDetails?.namedCurve;
  return size === undefined ? asymmetricKeyType : `${asymmetricKeyType} (${size})`;
}
