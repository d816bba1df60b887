import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { sha256, toHex } from '../../core/bytes.ts';
import { CodedError, messageOf } from '../../core/errors.ts';

export type TlsCode =
  | 'tls-incomplete'
  | 'tls-unreadable'
  | 'tls-key-mismatch'
  | 'tls-key-kind'
  | 'tls-not-our-authority'
  | 'tls-hosts-not-covered'
  | 'tls-expired';

/** Why the server does not start with the keys and certificates that it found. Nothing was replaced. */
export class TlsError extends CodedError<TlsCode> {}

/** Firmware speaks RSA only and wants 3072 bits (security level 3); the agents' door is P-256. */
export type KeyKind = 'rsa-3072' | 'p-256';

export interface ServerCertificate {
  /** PEM, as read: the leaf first, then any intermediates. */
  key: string;
  certificate: string;
  /** SHA-256 of the leaf's SubjectPublicKeyInfo (DER): the server key of docs/protocol.md. */
  spkiSha256: string;
  notAfter: Date;
}

/** A key and certificate as they lie on disk, with the names that messages use for them. */
export interface StoredCertificate {
  key: string;
  certificate: string;
  keyPath: string;
  certificatePath: string;
}

export interface Expectations {
  authority: X509Certificate;
  kind: KeyKind;
  hosts: readonly string[];
  nowMs: number;
}

/**
 * A door opens only with a certificate that its clients will accept.
 *
 * @throws {TlsError} naming the file and what to do
 */
export function verifyServerCertificate(
  stored: StoredCertificate,
  expected: Expectations,
): ServerCertificate {
  const chain = parseChain(stored.certificate, stored.certificatePath);
  const [leaf] = chain;
  const key = parsePrivateKey(stored.key, stored.keyPath);
  verifyKeyPair(leaf, key, stored);
  verifyKeyKind(key, expected.kind, stored.keyPath);
  verifyChain(chain, expected.authority, stored.certificatePath);
  verifyHosts(leaf, expected.hosts, stored.certificatePath);
  verifyNotExpired(leaf, expected.nowMs, stored.certificatePath);
  return {
    key: stored.key,
    certificate: stored.certificate,
    spkiSha256: spkiSha256Of(leaf),
    notAfter: leaf.validToDate,
  };
}

/** @throws {TlsError} when this is no CA, has expired, or is not the key's */
export function verifyAuthority(
  stored: { certificate: string; certificatePath: string },
  nowMs: number,
): X509Certificate {
  const [authority] = parseChain(stored.certificate, stored.certificatePath);
  if (!authority.ca)
    throw new TlsError('tls-not-our-authority', `${stored.certificatePath} is not a CA certificate`);
  verifyNotExpired(authority, nowMs, stored.certificatePath);
  return authority;
}

export function verifyKeyPair(
  certificate: X509Certificate,
  key: KeyObject,
  { keyPath, certificatePath }: { keyPath: string; certificatePath: string },
): void {
  if (!certificate.checkPrivateKey(key))
    throw new TlsError(
      'tls-key-mismatch',
      `${keyPath} is not the key of ${certificatePath}: restore the one that belongs to it`,
    );
}

export function parsePrivateKey(pem: string, path: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new TlsError('tls-unreadable', `${path} holds no private key in PEM: ${messageOf(cause)}`, {
      cause,
    });
  }
}

export function spkiSha256Of(certificate: X509Certificate): string {
  return toHex(sha256(certificate.publicKey.export({ type: 'spki', format: 'der' })));
}

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

function parseChain(pem: string, path: string): [X509Certificate, ...X509Certificate[]] {
  try {
    const [leaf, ...rest] = (pem.match(PEM_CERTIFICATE) ?? []).map((block) => new X509Certificate(block));
    if (leaf !== undefined) return [leaf, ...rest];
  } catch (cause) {
    throw new TlsError(
      'tls-unreadable',
      `${path} holds a certificate that does not parse: ${messageOf(cause)}`,
      { cause },
    );
  }
  throw new TlsError('tls-unreadable', `${path} holds no certificate in PEM`);
}

function verifyKeyKind(key: KeyObject, kind: KeyKind, path: string): void {
  const details = createPublicKey(key).asymmetricKeyDetails ?? {};
  const right =
    kind === 'rsa-3072'
      ? key.asymmetricKeyType === 'rsa' && (details.modulusLength ?? 0) >= 3072
      : key.asymmetricKeyType === 'ec' && details.namedCurve === 'prime256v1';
  const wanted = kind === 'rsa-3072' ? 'an RSA key of 3072 bits or more' : 'an ECDSA P-256 key';
  if (!right) throw new TlsError('tls-key-kind', `${path} must be ${wanted}: its clients speak nothing else`);
}

function verifyChain(chain: readonly X509Certificate[], authority: X509Certificate, path: string): void {
  const issuers = [...chain.slice(1), authority];
  const broken = chain.findIndex((certificate, at) => {
    const issuer = issuers[at];
    return issuer === undefined || !certificate.checkIssued(issuer) || !certificate.verify(issuer.publicKey);
  });
  if (broken !== -1)
    throw new TlsError(
      'tls-not-our-authority',
      `${path}: certificate ${broken + 1} was not issued by the next one or by ca.pem`,
    );
}

function verifyHosts(leaf: X509Certificate, hosts: readonly string[], path: string): void {
  const missing = hosts.filter((host) => !covers(leaf, host));
  if (missing.length > 0)
    throw new TlsError(
      'tls-hosts-not-covered',
      `${path} does not name ${missing.join(', ')} (publicHosts): move it away and keep its key, and it is issued again for the same key`,
    );
}

function covers(leaf: X509Certificate, host: string): boolean {
  const found = isIP(host) === 0 ? leaf.checkHost(host, { subject: 'never' }) : leaf.checkIP(host);
  return found !== undefined;
}

function verifyNotExpired(certificate: X509Certificate, nowMs: number, path: string): void {
  if (certificate.validToDate.getTime() <= nowMs)
    throw new TlsError(
      'tls-expired',
      `${path} expired on ${certificate.validTo}: move it away to have another issued`,
    );
}
