import { createPublicKey, webcrypto } from 'node:crypto';
import { fromBase64Url } from '../../../src/core/bytes.ts';
import { SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import { encodeTpmtPublic, parseTpmtPublic, type TpmPublic } from '../../../src/tpm/public-area.ts';

export const NOW_MS = Date.UTC(2026, 10, 21);

const EK_ATTRIBUTES = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);

/** An RSA-2048 EK as the low-range template makes it. */
export async function createEk(
  changes: { attributes?: number; bits?: number } = {},
): Promise<{ publicKey: webcrypto.CryptoKey; ekPublic: TpmPublic }> {
  const bits = changes.bits ?? 2048;
  const { publicKey } = await webcrypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength: bits,
      publicExponent: Uint8Array.of(1, 0, 1),
      hash: 'SHA-256',
    },
    true,
    ['sign', 'verify'],
  );
  const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', publicKey));
  const jwk = createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'jwk' });
  const ekPublic = parseTpmtPublic(
    encodeTpmtPublic({
      type: 'rsa',
      nameAlg: SHA256,
      attributes: changes.attributes ?? EK_ATTRIBUTES,
      authPolicy: new Uint8Array(32),
      symmetric: { keyBits: 128, mode: ALG.CFB },
      scheme: { id: ALG.NULL },
      keyBits: bits,
      exponent: 65537,
      modulus: fromBase64Url(jwk.n ?? ''),
    }),
  );
  return { publicKey, ekPublic };
}
