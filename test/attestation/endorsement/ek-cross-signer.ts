import 'reflect-metadata';
import {
  BasicConstraintsExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { type Authority, NOT_AFTER, NOT_BEFORE } from '../../../src/fleet-sim/chip/manufacturer.ts';

/** The same CA, name and key, in a certificate by another CA. */
export async function crossSign(
  ca: Authority,
  by: Authority,
  options: { notAfter?: Date; extra?: Extension[] } = {},
): Promise<Authority> {
  const certificate = await X509CertificateGenerator.create({
    subject: `CN=${ca.name}`,
    issuer: `CN=${by.name}`,
    serialNumber: '02',
    notBefore: NOT_BEFORE,
    notAfter: options.notAfter ?? NOT_AFTER,
    signingAlgorithm: { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' },
    publicKey: ca.keys.publicKey,
    signingKey: by.keys.privateKey,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      ...(options.extra ?? []),
    ],
  });
  return { ...ca, certificate: new Uint8Array(certificate.rawData) };
}
