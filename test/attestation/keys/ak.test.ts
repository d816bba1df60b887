import { describe, expect, it } from 'vitest';
import { verifyAkTemplate } from '../../../src/attestation/keys/ak.ts';
import { loadAttestationKey } from '../../../src/attestation/keys/attestation-key.ts';
import {
  AK_ATTRIBUTES,
  type AkKind,
  createSoftwareAk,
  hashOf,
} from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { OBJECT_ATTRIBUTE_BITS, type ObjectAttribute } from '../../../src/tpm/object-attributes.ts';
import { parseTpmtPublic } from '../../../src/tpm/public-area.ts';

const codeOf = (action: () => unknown): string => {
  try {
    action();
    return 'accepted';
  } catch (cause) {
    return (cause as { code: string }).code;
  }
};
const loaded = (kind: AkKind, options: Parameters<typeof createSoftwareAk>[1] = {}) =>
  codeOf(() => createSoftwareAk(kind, options).load());
const toggled = (attribute: ObjectAttribute) => ({
  attributes: AK_ATTRIBUTES ^ (1 << OBJECT_ATTRIBUTE_BITS[attribute]),
});

describe('attestation keys', () => {
  it.each<AkKind>(['p256', 'p384', 'rsassa', 'rsapss'])('accepts a %s key', (kind) => {
    expect(loaded(kind)).toBe('accepted');
  });

  it.each<[string, ObjectAttribute, string]>([
    ['E13 refuses a key that is not restricted', 'restricted', 'ak-not-restricted'],
    ['E14 refuses a key that is not fixedTPM', 'fixedTPM', 'ak-not-fixed-tpm'],
    ['E14 refuses a key that is not fixedParent', 'fixedParent', 'ak-not-fixed-parent'],
    ['E15 refuses a key that the TPM did not make', 'sensitiveDataOrigin', 'ak-imported'],
    ['E16 refuses a key that may also decrypt', 'decrypt', 'ak-decrypts'],
    ['E16 refuses a key that does not sign', 'sign', 'ak-not-signing'],
  ])('%s', (_name, attribute, code) => {
    expect(loaded('p256', toggled(attribute))).toBe(code);
  });

  it('E16 refuses a key with a symmetric algorithm, as storage keys have', () => {
    expect(loaded('p256', { symmetric: { keyBits: 128, mode: ALG.CFB } })).toBe('ak-symmetric-set');
  });

  it('refuses a key that fixes no scheme, or none that signs', () => {
    expect(loaded('p256', { scheme: { id: ALG.NULL } })).toBe('ak-scheme-unset');
    expect(loaded('p256', { scheme: { id: ALG.ECDH, hash: hashOf(ALG.SHA256) } })).toBe('ak-scheme-unset');
  });

  it('refuses SHA-1, for signing as for naming', () => {
    const sha1 = hashOf(ALG.SHA1);
    expect(loaded('p256', { scheme: { id: ALG.ECDSA, hash: sha1 } })).toBe('ak-hash-weak');
    expect(loaded('p256', { nameAlg: sha1 })).toBe('ak-hash-weak');
  });

  it('E8 refuses RSA-1024 and exponent 3', () => {
    expect(loaded('rsassa', { rsaBits: 1024 })).toBe('ak-key-weak');
    expect(loaded('rsassa', { rsaExponent: 3 })).toBe('ak-key-weak');
  });

  it('E17 refuses a public area that is cut off or has bytes behind it', () => {
    const { publicBytes } = createSoftwareAk();
    expect(codeOf(() => loadAttestationKey(publicBytes.subarray(1)))).toBe('ak-malformed');
    expect(codeOf(() => loadAttestationKey(Uint8Array.of(...publicBytes, 0)))).toBe('ak-malformed');
  });

  it.each<[string, Parameters<typeof createSoftwareAk>[1], string]>([
    ['another name algorithm', { nameAlg: hashOf(ALG.SHA384) }, 'ak-not-template'],
    ['another hash', { scheme: { id: ALG.ECDSA, hash: hashOf(ALG.SHA512) } }, 'ak-not-template'],
    ['what no attestation key may be', toggled('decrypt'), 'ak-decrypts'],
    ['no scheme', { scheme: { id: ALG.NULL } }, 'ak-scheme-unset'],
  ])('enrols no P-256 key with %s', (_name, options, code) => {
    const akPublic = parseTpmtPublic(createSoftwareAk('p256', options).publicBytes);
    expect(codeOf(() => verifyAkTemplate(akPublic))).toBe(code);
  });

  it.each<[string, AkKind, Parameters<typeof createSoftwareAk>[1], string | RegExp]>([
    ['attributes', 'p256', toggled('restricted'), 'attribute restricted is clear, expected set'],
    ['attributes', 'p256', toggled('decrypt'), 'attribute decrypt is set, expected clear'],
    [
      'the cipher',
      'p256',
      { symmetric: { keyBits: 128, mode: ALG.CFB } },
      'it names a symmetric algorithm, expected none',
    ],
    [
      'the scheme',
      'p256',
      { scheme: { id: ALG.NULL } },
      /^attestation key: signature scheme .+, expected RSASSA, RSAPSS or ECDSA with a hash$/,
    ],
    [
      'the hash',
      'p256',
      { scheme: { id: ALG.ECDSA, hash: hashOf(ALG.SHA1) } },
      /^attestation key: it signs with sha1\b/,
    ],
    ['the name', 'p256', { nameAlg: hashOf(ALG.SHA1) }, /^attestation key: it is named by sha1\b/],
    [
      'the strength',
      'rsassa',
      { rsaBits: 1024 },
      'RSA-1024 with exponent 65537, expected 2048 bits or more and 65537',
    ],
    [
      'the template',
      'p384',
      { scheme: { id: ALG.ECDSA, hash: hashOf(ALG.SHA256) } },
      'expected ECDSA with sha256 on P-256 and a sha256 name, it is ECDSA with sha256 on P-384 and a sha256 name',
    ],
    [
      'the type',
      'rsassa',
      {},
      'expected ECDSA with sha256 on P-256 and a sha256 name, it is RSASSA with sha256 on RSA-2048 and a sha256 name',
    ],
  ])('says what was expected of %s, and what came', (_name, kind, options, sentence) => {
    const akPublic = parseTpmtPublic(createSoftwareAk(kind, options).publicBytes);
    const expected =
      typeof sentence === 'string' ? `attestation key: ${sentence}` : expect.stringMatching(sentence);
    expect(() => verifyAkTemplate(akPublic)).toThrow(expect.objectContaining({ message: expected }));
  });

  it('enrols the template and nothing else', () => {
    const template = (kind: AkKind) => verifyAkTemplate(parseTpmtPublic(createSoftwareAk(kind).publicBytes));
    expect(codeOf(() => template('p256'))).toBe('accepted');
    for (const kind of ['p384', 'rsassa', 'rsapss'] as const)
      expect(codeOf(() => template(kind))).toBe('ak-not-template');
  });
});
