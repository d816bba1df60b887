import type { KeyObject } from 'node:crypto';
import { isRocaKey } from '../keys/roca.ts';
import { Refusal } from '../reasons.ts';

const MIN_RSA_BITS = 2048;
const MIN_RSA_EXPONENT = 65537;
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];

/** RSA PKCS#1 v1.5 and ECDSA (RFC 4055, RFC 5758): everything that manufacturers use and is not weak. */
const HASH_BY_ALGORITHM: ReadonlyMap<string | undefined, string> = new Map([
  ['1.2.840.113549.1.1.11', 'sha256'],
  ['1.2.840.113549.1.1.12', 'sha384'],
  ['1.2.840.113549.1.1.13', 'sha512'],
  ['1.2.840.10045.4.3.2', 'sha256'],
  ['1.2.840.10045.4.3.3', 'sha384'],
  ['1.2.840.10045.4.3.4', 'sha512'],
]);

/** @throws {Refusal} `ek-certificate-signature-weak`: SHA-1, MD5, DSA, and what we don't know */
export function strongHashOf(what: string, algorithmOid: string | undefined): string {
  const hash = HASH_BY_ALGORITHM.get(algorithmOid);
  if (hash === undefined)
    throw new Refusal(
      'ek-certificate-signature-weak',
      `${what}: signed with algorithm ${algorithmOid ?? '?'}, expected RSA or ECDSA with SHA-256, SHA-384 or SHA-512`,
    );
  return hash;
}

/** @throws {Refusal} `ek-certificate-signature-weak` or `key-roca` */
export function verifyIssuerKey(owner: string, key: KeyObject): void {
  const details = key.asymmetricKeyDetails;
  const isStrong =
    key.asymmetricKeyType === 'rsa'
      ? Number(details?.modulusLength) >= MIN_RSA_BITS && Number(details?.publicExponent) >= MIN_RSA_EXPONENT
      : key.asymmetricKeyType === 'ec' && CURVES.includes(details?.namedCurve);
  if (!isStrong)
    throw new Refusal(
      'ek-certificate-signature-weak',
      `${owner}: its key is ${describeKey(key)}, expected RSA of ${MIN_RSA_BITS} bits or more, P-256, P-384 or P-521`,
    );
  if (isRocaKey(key))
    throw new Refusal('key-roca', `${owner}: its RSA modulus can be factored (CVE-2017-15361)`);
}

function describeKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): string {
  return [asymmetricKeyType, ...Object.values({ ...asymmetricKeyDetails })].join(' ');
}
