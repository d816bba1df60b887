import type { KeyObject } from 'node:crypto';
import { Refusal } from './reasons.ts';
import { isRocaKey } from './roca.ts';
import type { TrustAnchors } from './trust-anchors.ts';
import type { Certificate } from './x509.ts';

export interface EkPathOptions {
  anchors: TrustAnchors;
  nowMs: number;
  /** Real manufacturer intermediates expire long before their chips do: only if the operator says so. */
  acceptExpiredIssuers?: boolean;
}

const MAX_ISSUERS = 5;
/** Cross-signs and equal names can multiply paths: a bound on work, far above any real hierarchy. */
const MAX_SIGNATURE_CHECKS = 64;
const MIN_RSA_BITS = 2048;
const CURVES: readonly (string | undefined)[] = ['prime256v1', 'secp384r1', 'secp521r1'];
/** RSA PKCS#1 v1.5 and ECDSA, each with SHA-256, SHA-384, SHA-512. */
const SIGNATURE_ALGORITHMS: readonly (string | undefined)[] = [
  '1.2.840.113549.1.1.11',
  '1.2.840.113549.1.1.12',
  '1.2.840.113549.1.1.13',
  '1.2.840.10045.4.3.2',
  '1.2.840.10045.4.3.3',
  '1.2.840.10045.4.3.4',
];
/** Policies (2.5.29.32) constrain nothing unless somebody requires one (RFC 5280, section 6.1.1), and we do not. */
const UNDERSTOOD_EXTENSIONS: readonly string[] = [
  '2.5.29.15',
  '2.5.29.17',
  '2.5.29.19',
  '2.5.29.32',
  '2.5.29.37',
];
const NAME_CONSTRAINTS = '2.5.29.30';

/**
 * The issuers from `leaf` up to a root (RFC 5280, section 6.1, without revocation): depth first, never the
 * same certificate twice, bounded.
 *
 * @throws {Refusal} with the fault of the last candidate that failed, when there was one
 */
export function findIssuers(leaf: Certificate, options: EkPathOptions): Certificate[] {
  if (options.anchors.roots.length === 0)
    throw new Refusal(
      'ek-trust-anchors-missing',
      'no root certificate of any TPM manufacturer is configured',
    );
  const search: Search = { ...options, signatureChecks: 0, fault: undefined };
  const issuers = climb(search, [leaf]);
  if (issuers !== undefined) return issuers;
  throw (
    search.fault ??
    new Refusal('ek-certificate-untrusted', `no accepted CA issued it; its issuer is ${leaf.issuer}`)
  );
}

/** The extension rules for any certificate of the path. */
export function verifyExtensions({ extensions, subject }: Certificate): void {
  const oids = extensions.map(({ oid }) => oid);
  const twice = oids.find((oid, index) => oids.indexOf(oid) !== index);
  if (twice !== undefined)
    throw new Refusal('ek-certificate-extension', `${subject}: extension ${twice} appears twice`);
  const unknown = extensions.find(
    ({ oid, critical }) => oid === NAME_CONSTRAINTS || (critical && !UNDERSTOOD_EXTENSIONS.includes(oid)),
  );
  if (unknown !== undefined)
    throw new Refusal('ek-certificate-extension', `${subject}: extension ${unknown.oid} is not understood`);
}

interface Search extends EkPathOptions {
  signatureChecks: number;
  fault: Refusal | undefined;
}

function climb(search: Search, path: readonly Certificate[]): Certificate[] | undefined {
  const child = path.at(-1);
  if (child === undefined || path.length > MAX_ISSUERS) return undefined;
  for (const [pool, isEnd] of [
    [search.anchors.roots, true],
    [search.anchors.intermediates, false],
  ] as const) {
    for (const issuer of pool) {
      if (path.includes(issuer) || !issuedBy(search, child, issuer, path.length - 1)) continue;
      if (isEnd) return [issuer];
      const above = climb(search, [...path, issuer]);
      if (above !== undefined) return [issuer, ...above];
    }
  }
  return undefined;
}

function issuedBy(search: Search, child: Certificate, issuer: Certificate, issuersBelow: number): boolean {
  if (!child.node.checkIssued(issuer.node)) return false;
  try {
    verifyIssuer(search, issuer, issuersBelow);
    verifyIssuance(search, child, issuer);
    return true;
  } catch (cause) {
    if (!(cause instanceof Refusal)) throw cause;
    search.fault = cause;
    return false;
  }
}

function verifyIssuer(search: Search, issuer: Certificate, issuersBelow: number): void {
  const name = issuer.subject;
  const untrusted = (why: string) => new Refusal('ek-certificate-untrusted', `${name}: ${why}`);
  verifyExtensions(issuer);
  if (issuer.basicConstraints?.ca !== true) throw untrusted('it is not a CA certificate');
  const { pathLength } = issuer.basicConstraints;
  if (pathLength !== undefined && issuersBelow > pathLength)
    throw untrusted(`its path length allows ${pathLength} CAs below it, there are ${issuersBelow}`);
  if (issuer.keyUsage !== undefined && !issuer.keyUsage.keyCertSign)
    throw untrusted('it may not sign certificates');
  if (search.nowMs < issuer.notBeforeMs) throw untrusted('it is not valid yet');
  if (search.nowMs > issuer.notAfterMs && search.acceptExpiredIssuers !== true)
    throw untrusted('it has expired');
}

function verifyIssuance(search: Search, child: Certificate, issuer: Certificate): void {
  const name = child.subject;
  if (!SIGNATURE_ALGORITHMS.includes(child.node.signatureAlgorithmOid))
    throw new Refusal(
      'ek-certificate-signature-weak',
      `${name}: signed with ${child.node.signatureAlgorithm}`,
    );
  const key = publicKeyOf(issuer);
  search.signatureChecks += 1;
  if (search.signatureChecks > MAX_SIGNATURE_CHECKS)
    throw new Refusal('ek-certificate-untrusted', 'too many possible paths to a root');
  if (!child.node.verify(key))
    throw new Refusal('ek-certificate-untrusted', `${name}: not signed by ${issuer.subject}`);
}

function publicKeyOf(issuer: Certificate): KeyObject {
  const key = issuer.node.publicKey;
  const { modulusLength, namedCurve } = key.asymmetricKeyDetails ?? {};
  const strong =
    key.asymmetricKeyType === 'rsa'
      ? modulusLength !== undefined && modulusLength >= MIN_RSA_BITS
      : key.asymmetricKeyType === 'ec' && CURVES.includes(namedCurve);
  if (!strong) throw new Refusal('ek-certificate-signature-weak', `${issuer.subject}: its key is too weak`);
  if (isRocaKey(key))
    throw new Refusal('key-roca', `${issuer.subject}: its RSA modulus can be factored (CVE-2017-15361)`);
  return key;
}
