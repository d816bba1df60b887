import { createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { toBase64Url, toHex } from '../../core/bytes.ts';

/** CKA_… of PKCS#11 2.40. */
export const CKA = {
  CLASS: 0x0,
  LABEL: 0x3,
  VALUE: 0x11,
  KEY_TYPE: 0x100,
  ID: 0x102,
  SENSITIVE: 0x103,
  MODULUS: 0x120,
  PUBLIC_EXPONENT: 0x122,
  EXTRACTABLE: 0x162,
  EC_PARAMS: 0x180,
  EC_POINT: 0x181,
  ALWAYS_AUTHENTICATE: 0x202,
} as const;

/** CKO_… */
export const CKO = { CERTIFICATE: 1, PUBLIC_KEY: 2, PRIVATE_KEY: 3 } as const;

const CKK_RSA = 0x0;
const CKK_EC = 0x3;
const CKK_EC_EDWARDS = 0x40;

/** OID prime256v1 in DER. */
const P256 = '06082a8648ce3d030107';
/** PKCS#11 3.0 section 2.3.1: the curve by name (PrintableString) or by OID (RFC 8410). */
const ED25519 = ['130c656477617264733235353139', '06032b6570'];

export type ReadAttribute = (type: number) => Uint8Array | undefined;

/**
 * The public key that an object tells: a public key, a certificate, or a private RSA key, which has both
 * numbers too.
 *
 * @returns undefined when it tells none, or one of a kind that we do not use
 */
export function readPublicKey(objectClass: number, read: ReadAttribute): KeyObject | undefined {
  if (objectClass === CKO.CERTIFICATE) return certifiedKey(read(CKA.VALUE));
  const keyType = unsignedOf(read(CKA.KEY_TYPE));
  if (keyType === CKK_RSA) return rsaKey(read(CKA.MODULUS), read(CKA.PUBLIC_EXPONENT));
  const point = read(CKA.EC_POINT);
  const curve = read(CKA.EC_PARAMS);
  if (point === undefined || curve === undefined) return undefined;
  if (keyType === CKK_EC && toHex(curve) === P256) return p256Key(unwrapOctets(point));
  if (keyType === CKK_EC_EDWARDS && ED25519.includes(toHex(curve))) return ed25519Key(unwrapOctets(point));
  return undefined;
}

/** A CK_ULONG, in this machine's byte order. Both architectures that we run on are little-endian. */
export function unsignedOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined || bytes.length === 0 || bytes.length > 8) return undefined;
  return bytes.reduceRight((value, byte) => value * 256 + byte, 0);
}

function certifiedKey(der: Uint8Array | undefined): KeyObject | undefined {
  return der === undefined ? undefined : attempt(() => new X509Certificate(der).publicKey);
}

function rsaKey(modulus: Uint8Array | undefined, exponent: Uint8Array | undefined): KeyObject | undefined {
  if (modulus === undefined || exponent === undefined) return undefined;
  return keyOf({ kty: 'RSA', n: toBase64Url(modulus), e: toBase64Url(exponent) });
}

function p256Key(point: Uint8Array): KeyObject | undefined {
  if (point.length !== 65 || point[0] !== 4) return undefined;
  const [x, y] = [point.slice(1, 33), point.slice(33)];
  return keyOf({ kty: 'EC', crv: 'P-256', x: toBase64Url(x), y: toBase64Url(y) });
}

function ed25519Key(point: Uint8Array): KeyObject | undefined {
  return point.length === 32 ? keyOf({ kty: 'OKP', crv: 'Ed25519', x: toBase64Url(point) }) : undefined;
}

/** CKA_EC_POINT is an OCTET STRING in DER; some modules leave that out. */
function unwrapOctets(point: Uint8Array): Uint8Array {
  return point[0] === 0x04 && point[1] === point.length - 2 ? point.subarray(2) : point;
}

function keyOf(key: JsonWebKeyOf): KeyObject | undefined {
  return attempt(() => createPublicKey({ key: { ...key }, format: 'jwk' }));
}

type JsonWebKeyOf = Readonly<Record<string, string>>;

function attempt(make: () => KeyObject): KeyObject | undefined {
  try {
    return make();
  } catch {
    return undefined;
  }
}
