import { createSecretKey, generateKeyPairSync, verify } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { asciiBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { keyIdOf, publicKeyOf, type TufKey, tufKeyOf } from '../../src/signing/public-key.ts';
import { readTufKey } from '../../src/signing/read-tuf-key.ts';
import { verifyThreshold } from '../../src/signing/tuf/signatures.ts';
import { CORPORA } from '../corpora.ts';
import { testSigner } from './tuf/tuf-fixture.ts';

const VECTORS = `${CORPORA}/C2SP/wycheproof/testvectors_v1/ed25519_test.json`;

const keyOf = (hex: string): TufKey => ({ keytype: 'ed25519', scheme: 'ed25519', keyval: { public: hex } });

/** RFC 8032 section 7.1, test 2. */
const RFC_8032 = {
  key: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  message: '72',
  signature:
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
};

describe('a TUF key', () => {
  it('is the same key there and back', () => {
    const { publicKey, privateKey } = generateKeyPairSync('ed25519');
    expect(publicKeyOf(tufKeyOf(publicKey)).equals(publicKey)).toBe(true);
    expect(tufKeyOf(privateKey)).toEqual(tufKeyOf(publicKey));
  });

  it('verifies the vector of RFC 8032', () => {
    const { key, message, signature } = RFC_8032;
    expect(verify(null, fromHex(message), publicKeyOf(keyOf(key)), fromHex(signature))).toBe(true);
  });

  it('has the id that `jq -cjS` and sha256sum give', () => {
    // printf '{"keytype":"ed25519","keyval":{"public":"3d40…660c"},"scheme":"ed25519"}' | sha256sum
    expect(keyIdOf(keyOf(RFC_8032.key))).toBe(
      'eaf1e23f6c823132f437a2eaa299a7950f7386631deff273db195bbd26209e2b',
    );
  });

  it.each(['', RFC_8032.key.slice(2), `${RFC_8032.key}00`, RFC_8032.key.toUpperCase(), 'zz'.repeat(32)])(
    'is refused with the public half %j',
    (hex) => expect(() => publicKeyOf(keyOf(hex))).toThrow(expect.objectContaining({ code: 'key-invalid' })),
  );

  it.each([
    ['P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' }).publicKey],
    ['RSA-2048', generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey],
    ['RSA with exponent 3', generateKeyPairSync('rsa', { modulusLength: 3072, publicExponent: 3 }).publicKey],
    ['X25519', generateKeyPairSync('x25519').publicKey],
    ['symmetric', createSecretKey(Buffer.alloc(32))],
  ])('is never %s', (_, key) =>
    expect(() => tufKeyOf(key)).toThrow(expect.objectContaining({ code: 'key-invalid' })),
  );
});

describe('a key in PEM may have line ends behind it, and nothing else', () => {
  const key = tufKeyOf(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey);
  const followedBy = (behind: string): TufKey => ({
    ...key,
    keyval: { public: key.keyval.public.trimEnd() + behind },
  });

  it.each(['', '\n', '\n\n'])('%j', (behind) =>
    expect(tufKeyOf(publicKeyOf(followedBy(behind)))).toEqual(key),
  );

  it.each([' ', '\t', '\r', '\r\n', ' \n', '\n ', '\n\t\n', '\u00a0', '\ufeff', '\u2028', '\v', '\f'])(
    'not %j',
    (behind) =>
      expect(() => publicKeyOf(followedBy(behind))).toThrow(expect.objectContaining({ code: 'key-invalid' })),
  );

  it.each([' ', '\n'])('an Ed25519 key in hex has not even %j', (behind) =>
    expect(() => publicKeyOf(keyOf(RFC_8032.key + behind))).toThrow(
      expect.objectContaining({ code: 'key-invalid' }),
    ),
  );
});

describe('a key in JSON', () => {
  const json = { keytype: 'ed25519', scheme: 'ed25519', keyval: { public: RFC_8032.key } };

  it('is read without the members that TUF does not name', () => {
    expect(readTufKey({ ...json, note: 'x', keyval: { ...json.keyval, private: '' } })).toEqual(json);
  });

  it.each([
    ['no object', null],
    ['a list', [json]],
    ['no keytype', { ...json, keytype: 1 }],
    ['a keytype of another scheme', { ...json, keytype: 'rsa' }],
    ['an unknown scheme', { ...json, scheme: 'ed448' }],
    ['the name of an inherited member as scheme', { ...json, scheme: 'toString' }],
    ['no keyval', { ...json, keyval: RFC_8032.key }],
    ['no public half', { ...json, keyval: {} }],
    ['half a public half', { ...json, keyval: { public: RFC_8032.key.slice(2) } }],
  ])('is refused: %s', (_, value) =>
    expect(() => readTufKey(value)).toThrow(expect.objectContaining({ code: 'key-invalid' })),
  );
});

describe('a threshold of signatures', () => {
  const { key, keyId } = testSigner('one');
  const rule = { keyIds: [keyId], threshold: 1 };
  const envelopeOf = (message: Uint8Array, signature: string) => ({
    bytes: new Uint8Array(),
    role: 'test',
    version: 1,
    expiresMs: 0,
    signed: {},
    canonical: message,
    signatures: new Map([[keyId, signature]]),
    file: { sha256: '', length: 0 },
  });

  it('is met by a good signature over these bytes and no others', async () => {
    const message = asciiBytes('message');
    const signature = toHex(await testSigner('one').sign(message));
    const keys = new Map([[keyId, key]]);
    expect(() => verifyThreshold(envelopeOf(message, signature), rule, keys)).not.toThrow();
    expect(() => verifyThreshold(envelopeOf(asciiBytes('messagE'), signature), rule, keys)).toThrow();
  });

  it.skipIf(!existsSync(VECTORS))('S14 agrees with every Wycheproof vector', () => {
    const { testGroups } = JSON.parse(readFileSync(VECTORS, 'utf8'));
    let count = 0;
    for (const { publicKey, tests } of testGroups)
      for (const { tcId, msg, sig, result } of tests) {
        const keys = new Map([[keyId, keyOf(publicKey.pk)]]);
        const check = () => verifyThreshold(envelopeOf(fromHex(msg), sig), rule, keys);
        if (result === 'valid') expect(check, `vector ${tcId}`).not.toThrow();
        else
          expect(check, `vector ${tcId}`).toThrow(expect.objectContaining({ code: 'tuf-threshold-not-met' }));
        count += 1;
      }
    expect(count).toBeGreaterThan(100);
  });
});
