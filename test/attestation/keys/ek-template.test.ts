import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyEkTemplate } from '../../../src/attestation/keys/ek-template.ts';
import { concatBytes, fromBase64Url, fromHex, sha256 } from '../../../src/core/bytes.ts';
import { hashOf } from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById } from '../../../src/tpm/algorithms.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import { encodeTpmtPublic, parseTpmtPublic, type TpmPublic } from '../../../src/tpm/public-area.ts';

// Every template of the TCG EK Credential Profile 2.5, annexes B.3 and B.4, that is not SM2; then each field
// of one broken by itself.

const LOW = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);
const HIGH = LOW | attributesOf('userWithAuth');
const POLICY_A = fromHex('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa');
/** The TPM's word on the fixed NV index, annex B.6.3. */
const POLICY_C = fromHex('3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde');
const POLICY_B256 = sha256(concatBytes(new Uint8Array(32), fromHex('00000171'), POLICY_A, POLICY_C));
const POLICY_B384 = fromHex(
  'b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12',
);
const POLICY_B512 = fromHex(
  'b8221ca69e8550a4914de3faa6a18c072cc01208073a928d5d66d59ef79e49a429c41a6b269571d57edb25fbdb1838425608b413cd616a5f6db5b6071af99bea',
);

interface Shape {
  key: number | 'P-256' | 'P-384' | 'P-521';
  nameAlg: number;
  attributes: number;
  authPolicy: Uint8Array;
  keyBits?: 128 | 256;
}

function ekOf({ key, nameAlg, attributes, authPolicy, keyBits = 128 }: Shape): TpmPublic {
  const common = {
    nameAlg: hashOf(nameAlg),
    attributes,
    authPolicy,
    symmetric: { keyBits, mode: ALG.CFB },
    scheme: { id: ALG.NULL },
  };
  if (typeof key === 'number') {
    // Any odd number of that length: nothing is encrypted to it here.
    const modulus = new Uint8Array(key / 8).fill(0xa5);
    return parseTpmtPublic(
      encodeTpmtPublic({ ...common, type: 'rsa', keyBits: key, exponent: 65537, modulus }),
    );
  }
  const { x = '', y = '' } = generateKeyPairSync('ec', { namedCurve: key }).publicKey.export({
    format: 'jwk',
  });
  const curve = curveById({ 'P-256': 3, 'P-384': 4, 'P-521': 5 }[key]);
  if (curve === undefined) throw new Error('no such curve');
  const point = { x: fromBase64Url(x), y: fromBase64Url(y) };
  return parseTpmtPublic(encodeTpmtPublic({ ...common, type: 'ecc', curve, ...point }));
}

const L1: Shape = { key: 2048, nameAlg: ALG.SHA256, attributes: LOW, authPolicy: POLICY_A };
const H3: Shape = {
  key: 'P-384',
  nameAlg: ALG.SHA384,
  attributes: HIGH,
  authPolicy: POLICY_B384,
  keyBits: 256,
};

describe('a template of the profile', () => {
  it.each<[string, Shape]>([
    ['L-1', L1],
    ['L-2', { ...L1, key: 'P-256' }],
    ['H-1', { ...L1, attributes: HIGH, authPolicy: POLICY_B256 }],
    ['H-2', { ...L1, key: 'P-256', attributes: HIGH, authPolicy: POLICY_B256 }],
    ['H-3', H3],
    ['H-4', { ...H3, key: 'P-521', nameAlg: ALG.SHA512, authPolicy: POLICY_B512 }],
    ['H-6', { ...H3, key: 3072 }],
    ['H-7', { ...H3, key: 4096 }],
  ])('is known as %s', (name, shape) => {
    expect(verifyEkTemplate(ekOf(shape)).name).toBe(name);
  });

  it.each<[string, TpmPublic, string]>([
    ['RSA-1024', ekOf({ ...L1, key: 1024 }), 'it is RSA-1024'],
    [
      'P-384 in the low range',
      ekOf({ ...H3, attributes: LOW }),
      'attributes 0x000300b2, expected 0x000300f2',
    ],
    [
      'PolicyA in the high range',
      ekOf({ ...L1, attributes: HIGH }),
      'its policy is not that of template H-1',
    ],
    ['noDA', ekOf({ ...L1, attributes: LOW | attributesOf('noDA') }), 'expected 0x000300b2 or 0x000300f2'],
    [
      'no adminWithPolicy',
      ekOf({ ...L1, attributes: LOW & ~attributesOf('adminWithPolicy') }),
      'attributes 0x00030032',
    ],
    [
      'another name algorithm',
      ekOf({ ...L1, nameAlg: ALG.SHA384, authPolicy: POLICY_B384 }),
      'named by sha384, which L-1 is not',
    ],
    ['AES-256 in the low range', ekOf({ ...L1, keyBits: 256 }), 'expected AES-128 in CFB mode for L-1'],
    ['AES-128 beside P-384', ekOf({ ...H3, keyBits: 128 }), 'expected AES-256 in CFB mode for H-3'],
    [
      'another mode',
      { ...ekOf(L1), symmetric: { keyBits: 128, mode: 0x44 } },
      'expected AES-128 in CFB mode',
    ],
    ['a scheme', { ...ekOf(L1), scheme: { id: ALG.RSAES } }, 'scheme RSAES, expected none'],
    [
      'another policy',
      ekOf({ ...L1, authPolicy: new Uint8Array(32) }),
      'its policy is not that of template L-1',
    ],
    ['no policy', ekOf({ ...L1, authPolicy: new Uint8Array() }), 'its policy is not that of template L-1'],
  ])('is not one with %s', (_name, ekPublic, fault) => {
    expect(() => verifyEkTemplate(ekPublic)).toThrow(
      expect.objectContaining({ code: 'ek-key-unsuitable', message: expect.stringContaining(fault) }),
    );
  });
});
