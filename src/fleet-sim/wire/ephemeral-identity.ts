import 'reflect-metadata';
import { createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, webcrypto } from 'node:crypto';
import { X509CertificateGenerator } from '@peculiar/x509';
import type { ClientIdentity } from './https-client.ts';

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const DAY_MS = 86_400_000;

/** Self-signed, as stage-0 makes it at each boot. */
export async function createIdentity(
  privateKey: KeyObject = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
): Promise<ClientIdentity> {
  const publicKey = createPublicKey(privateKey);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=ephemeral',
    serialNumber: randomBytes(8).toString('hex'),
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + DAY_MS),
    signingAlgorithm: ECDSA,
    keys: {
      privateKey: await toCryptoKey(privateKey, 'sign'),
      publicKey: await toCryptoKey(publicKey, 'verify'),
    },
  });
  return { key: privateKey, certificate: `${certificate.toString('pem')}\n` };
}

/** SubjectPublicKeyInfo, DER. */
export function spkiOf({ key }: ClientIdentity): Uint8Array {
  return createPublicKey(key).export({ type: 'spki', format: 'der' });
}

function toCryptoKey(key: KeyObject, use: 'sign' | 'verify'): Promise<webcrypto.CryptoKey> {
  return webcrypto.subtle.importKey('jwk', key.export({ format: 'jwk' }), ECDSA, true, [use]);
}
