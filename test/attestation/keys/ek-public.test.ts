import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyEkPublic } from '../../../src/attestation/keys/ek-public.ts';
import { fromBase64Url } from '../../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById } from '../../../src/tpm/algorithms.ts';
import {
  attributesOf,
  OBJECT_ATTRIBUTE_BITS,
  type ObjectAttribute,
} from '../../../src/tpm/object-attributes.ts';
import { encodeTpmtPublic, parseTpmtPublic, type TpmPublic } from '../../../src/tpm/public-area.ts';

// Template L-1 of the EK Credential Profile (annex B.3.3), and each rule broken by itself.

const COMMON = {
  nameAlg: SHA256,
  attributes: attributesOf(
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'adminWithPolicy',
    'restricted',
    'decrypt',
  ),
  authPolicy: new Uint8Array(32),
  symmetric: { keyBits: 128 as const, mode: ALG.CFB },
  scheme: { id: ALG.NULL },
};

function rsaEk(modulusLength = 2048, exponent = 65537): TpmPublic {
  const { publicKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent: exponent });
  const modulus = fromBase64Url(publicKey.export({ format: 'jwk' }).n ?? '');
  const area = { ...COMMON, type: 'rsa' as const, keyBits: modulusLength, exponent, modulus };
  return parseTpmtPublic(encodeTpmtPublic(area));
}

function eccEk(namedCurve: 'P-256' | 'P-384'): TpmPublic & { type: 'ecc' } {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const curve = curveById(namedCurve === 'P-256' ? 3 : 4);
  if (curve === undefined) throw new Error('no such curve');
  const point = { x: fromBase64Url(x), y: fromBase64Url(y) };
  const area = parseTpmtPublic(encodeTpmtPublic({ ...COMMON, type: 'ecc', curve, ...point }));
  if (area.type !== 'ecc') throw new Error('not what was written');
  return area;
}

const RSA = rsaEk();
const ECC = eccEk('P-256');
const refusalOf = (ekPublic: TpmPublic): string => {
  try {
    verifyEkPublic(ekPublic);
    return 'accepted';
  } catch (cause) {
    const { code, message } = cause as { code: string; message: string };
    return `${code}: ${message}`;
  }
};
const toggled = (attribute: ObjectAttribute): TpmPublic => ({
  ...RSA,
  attributes: RSA.attributes ^ (1 << OBJECT_ATTRIBUTE_BITS[attribute]),
});
const { symmetric: _none, ...cipherless } = RSA;

describe('an endorsement key', () => {
  it.each<[string, TpmPublic]>([
    ['RSA-2048', RSA],
    ['RSA-3072', rsaEk(3072)],
    ['P-256', ECC],
    ['P-384', eccEk('P-384')],
  ])('is accepted as %s', (_name, ekPublic) => {
    expect(refusalOf(ekPublic)).toBe('accepted');
  });

  it.each<ObjectAttribute>(['fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'restricted', 'decrypt'])(
    'is refused without the attribute %s',
    (attribute) => {
      expect(refusalOf(toggled(attribute))).toBe(
        `ek-key-unsuitable: EK: attribute ${attribute} is clear, expected set`,
      );
    },
  );

  it.each<[string, TpmPublic, string]>([
    ['that may sign', toggled('sign'), 'ek-key-unsuitable: EK: attribute sign is set, expected clear'],
    [
      'without a cipher',
      cipherless as TpmPublic,
      'ek-key-unsuitable: EK: expected AES in CFB mode for what it protects, it names another',
    ],
    [
      'with another mode of its cipher',
      { ...RSA, symmetric: { keyBits: 128, mode: 0x40 } },
      'ek-key-unsuitable: EK: expected AES in CFB mode for what it protects, it names another',
    ],
    [
      'named by SHA-1',
      { ...RSA, nameAlg: hashOf(ALG.SHA1) },
      'ek-key-weak: EK: it is named by SHA-1, expected SHA-256 or stronger',
    ],
    [
      'E8 of RSA-1024',
      rsaEk(1024),
      'ek-key-weak: EK: RSA-1024 with exponent 65537, expected 2048 bits or more and 65537',
    ],
    [
      'E8 with exponent 3',
      rsaEk(2048, 3),
      'ek-key-weak: EK: RSA-2048 with exponent 3, expected 2048 bits or more and 65537',
    ],
    [
      'whose point is on no curve',
      { ...ECC, y: new Uint8Array(32).fill(1) },
      'ek-key-unsuitable: EK: TPMT_PUBLIC: not a usable public key',
    ],
  ])('is refused %s', (_name, ekPublic, refusal) => {
    expect(refusalOf(ekPublic)).toBe(refusal);
  });
});
