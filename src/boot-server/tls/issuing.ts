// The one door to @peculiar/x509 for issuing; it needs reflect-metadata loaded before it.
import 'reflect-metadata';
import { createPublicKey, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import * as x509 from '@peculiar/x509';

/**
 * Certificates start before any firmware was built that may read them: a board without a clock starts at
 * its firmware's build date and would take a fresh certificate for one from the future (pftf v1.50). They
 * end late because no node here can be trusted to notice an expiry, and because the CA is baked into
 * measured images; a certificate is withdrawn by issuing another, not by waiting.
 */
export const NOT_BEFORE = new Date('2020-01-01T00:00:00Z');
export const NOT_AFTER = new Date('2049-12-31T23:59:59Z');

const SIGNING = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };

export interface AuthorityRequest {
  key: KeyObject;
  commonName: string;
}

/** RFC 5280 section 4.2: a CA that may issue end entities and nothing below. Returns PEM. */
export async function issueAuthority({ key, commonName }: AuthorityRequest): Promise<string> {
  const keys = await cryptoKeysOf(key);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: nameOf(commonName),
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: SIGNING,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pemOf(certificate);
}

export interface ServerCertificateRequest {
  authority: { key: KeyObject; certificate: string };
  key: KeyObject;
  commonName: string;
  /** IP addresses and DNS names; firmware compares them with the URL and ignores the common name. */
  hosts: readonly string[];
}

/** A TLS server's certificate. Signatures only: no suite that we offer encrypts to the RSA key. */
export async function issueServerCertificate(request: ServerCertificateRequest): Promise<string> {
  const authority = await cryptoKeysOf(request.authority.key);
  const { publicKey } = await cryptoKeysOf(request.key);
  const issuer = new x509.X509Certificate(request.authority.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: randomSerial(),
    subject: nameOf(request.commonName),
    issuer: issuer.subjectName,
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: SIGNING,
    signingKey: authority.privateKey,
    publicKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(request.hosts.map(alternativeName)),
      await x509.SubjectKeyIdentifierExtension.create(publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  return pemOf(certificate);
}

function alternativeName(host: string): x509.JsonGeneralName {
  return { type: isIP(host) === 0 ? 'dns' : 'ip', value: host };
}

function nameOf(commonName: string): x509.Name {
  return new x509.Name([{ O: ['Bootward'] }, { CN: [commonName] }]);
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 octets; here 126 bits of chance behind a set bit. */
function randomSerial(): string {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial.toString('hex');
}

async function cryptoKeysOf(
  key: KeyObject,
): Promise<{ privateKey: webcrypto.CryptoKey; publicKey: webcrypto.CryptoKey }> {
  const algorithm = key.asymmetricKeyType === 'rsa' ? SIGNING : { name: 'ECDSA', namedCurve: 'P-256' };
  const { subtle } = webcrypto;
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const privateKey = await subtle.importKey('pkcs8', pkcs8, algorithm, true, ['sign']);
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' });
  const publicKey = await subtle.importKey('spki', spki, algorithm, true, ['verify']);
  return { privateKey, publicKey };
}

/** The library leaves out the final newline. */
function pemOf(certificate: x509.X509Certificate): string {
  return `${certificate.toString('pem').trimEnd()}\n`;
}
