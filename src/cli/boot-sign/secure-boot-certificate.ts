// This room's one door to @peculiar/x509, for issuing; it needs reflect-metadata loaded before it.
import 'reflect-metadata';
import { randomBytes, webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

/** A new key and its self-signed certificate, both DER; the private key is in memory only. */
export interface SecureBootPair {
  readonly privateKey: Uint8Array;
  readonly certificate: Uint8Array;
}

/** Firmware of the last ten years verifies RSA-2048 with SHA-256, and not all of it more. */
const ALGORITHM = {
  name: 'RSASSA-PKCS1-v1_5',
  hash: 'SHA-256',
  modulusLength: 2048,
  publicExponent: Uint8Array.of(1, 0, 1),
};

/**
 * Firmware looks at no dates, tools do: a signature may carry any time from long before the key was made
 * (a reproducible build's SOURCE_DATE_EPOCH) on. Withdrawal is dbx's task, not that of an end date.
 */
const NOT_BEFORE = new Date('2020-01-01T00:00:00Z');
const NOT_AFTER = new Date('2049-12-31T23:59:59Z');

/** RFC 5280 section 4.2: an end entity that signs code, enrolled by itself. */
export async function createSecureBootPair(commonName: string): Promise<SecureBootPair> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: new x509.Name([{ CN: [commonName] }]),
    notBefore: NOT_BEFORE,
    notAfter: NOT_AFTER,
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.codeSigning]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const privateKey = new Uint8Array(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey));
  return { privateKey, certificate: new Uint8Array(certificate.rawData) };
}

/** RFC 5280 section 4.1.2.2: positive, at most 20 octets; here 126 bits of chance behind a set bit. */
function randomSerial(): string {
  const serial = randomBytes(16);
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial.toString('hex');
}
