import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsageExtension,
  Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';
import { EMPTY } from '../../core/bytes.ts';

export { KeyUsageFlags };

/** An extension in raw DER. */
export function rawExtension(oid: string, critical: boolean, der: Uint8Array<ArrayBuffer>): Extension {
  return new Extension(oid, critical, der);
}

/** A TPM manufacturer in software: a CA hierarchy and EK certificates, right by default. */
export interface Authority {
  name: string;
  keys: webcrypto.CryptoKeyPair;
  certificate: Uint8Array;
}

const ECDSA_P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
export const NOT_BEFORE = new Date('2020-01-01T00:00:00Z');
export const NOT_AFTER = new Date('2040-01-01T00:00:00Z');
export const EK_EKU = '2.23.133.8.1';

export interface CertificateOptions {
  notBefore?: Date;
  notAfter?: Date;
  ca?: boolean | null;
  pathLength?: number;
  keyUsage?: number | null;
  extendedKeyUsages?: string[];
  directoryName?: string | null;
  extra?: Extension[];
  hash?: string;
}

export async function createAuthority(
  name: string,
  issuer?: Authority,
  options: CertificateOptions = {},
): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(ECDSA_P256, true, ['sign', 'verify']);
  const certificate = await issue({
    subject: `CN=${name}`,
    publicKey: keys.publicKey,
    issuer: issuer ?? { name, keys, certificate: EMPTY },
    options: {
      ca: true,
      keyUsage: KeyUsageFlags.keyCertSign,
      directoryName: null,
      extendedKeyUsages: [],
      ...options,
    },
  });
  return { name, keys, certificate };
}

export const TPM_NAME = '2.23.133.2.1=id:00001014, 2.23.133.2.2=swtpm, 2.23.133.2.3=id:20191023';

export function issueEk(
  publicKey: webcrypto.CryptoKey,
  issuer: Authority,
  options: CertificateOptions = {},
): Promise<Uint8Array> {
  return issue({ subject: '', publicKey, issuer, options });
}

async function issue(input: {
  subject: string;
  publicKey: webcrypto.CryptoKey;
  issuer: Authority;
  options: CertificateOptions;
}): Promise<Uint8Array> {
  const { subject, publicKey, issuer, options } = input;
  const certificate = await X509CertificateGenerator.create({
    subject,
    issuer: `CN=${issuer.name}`,
    serialNumber: '01',
    notBefore: options.notBefore ?? NOT_BEFORE,
    notAfter: options.notAfter ?? NOT_AFTER,
    signingAlgorithm: { ...ECDSA_P256, hash: options.hash ?? 'SHA-256' },
    publicKey,
    signingKey: issuer.keys.privateKey,
    extensions: extensionsOf(options),
  });
  return new Uint8Array(certificate.rawData);
}

function extensionsOf(options: CertificateOptions): Extension[] {
  const { ca = false, pathLength, keyUsage = KeyUsageFlags.keyEncipherment } = options;
  const usages = options.extendedKeyUsages ?? [EK_EKU];
  const directoryName = options.directoryName === undefined ? TPM_NAME : options.directoryName;
  return [
    ...(ca === null ? [] : [new BasicConstraintsExtension(ca, pathLength, true)]),
    ...(keyUsage === null ? [] : [new KeyUsagesExtension(keyUsage, true)]),
    ...(usages.length === 0 ? [] : [new ExtendedKeyUsageExtension(usages)]),
    // Critical and with nothing but a directoryName, as swtpm and real manufacturers write it.
    ...(directoryName === null
      ? []
      : [new SubjectAlternativeNameExtension([{ type: 'dn', value: directoryName }], true)]),
    ...(options.extra ?? []),
  ];
}
