import { createHmac } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type AttestationKey, loadAttestationKey } from '../../src/attestation/keys/attestation-key.ts';
import { verifyAttestSignature } from '../../src/attestation/quote/quote-signature.ts';
import { EMPTY, fromHex, toHex } from '../../src/core/bytes.ts';
import { AK_ATTRIBUTES, hashOf, SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById } from '../../src/tpm/algorithms.ts';
import { eccSeed } from '../../src/tpm/credential.ts';
import { kdfe } from '../../src/tpm/kdf.ts';
import { type EccPublic, encodeTpmtPublic, parseTpmtPublic } from '../../src/tpm/public-area.ts';
import { toKeyObject } from '../../src/tpm/public-key.ts';
import { encodeTpmtSignature } from '../../src/tpm/signature.ts';
import { CORPORA } from '../corpora.ts';

// Vectors of C2SP/wycheproof, held against the functions that evidence and enrolments go through: a vector's
// key becomes a TPMT_PUBLIC, its signature a TPMT_SIGNATURE. Ed25519 is in test/signing/ed25519.test.ts and
// JWS in test/signing/jws.test.ts. HKDF and JSON web keys do not apply: nothing here derives or reads them.

const FOLDER = `${CORPORA}/C2SP/wycheproof/testvectors_v1`;

interface Vector {
  tcId: number;
  comment: string;
  flags: readonly string[];
  result: 'valid' | 'invalid' | 'acceptable';
}

/** Every vector of a file, with the fields of its group. */
function wycheproof<Group, Test>(file: string): (Group & Test & Vector)[] {
  const { testGroups }: { testGroups: ({ tests: Test[] } & Group)[] } = JSON.parse(
    readFileSync(join(FOLDER, file), 'utf8'),
  );
  return testGroups.flatMap(({ tests, ...group }) =>
    tests.map((test) => ({ ...group, ...test }) as unknown as Group & Test & Vector),
  );
}

type Outcome = 'accepted' | 'refused';
interface Tally {
  vectors: number;
  accepted: number;
  refused: number;
  /** Comments of the vectors on which we and the file differ, and how often. */
  deviations: Record<string, number>;
}

function tally(vectors: readonly { result: string; comment: string; outcome: Outcome }[]): Tally {
  const deviations: Record<string, number> = {};
  for (const { result, comment, outcome } of vectors)
    if ((result === 'valid') !== (outcome === 'accepted'))
      deviations[`${outcome}: ${comment}`] = 1 + (deviations[`${outcome}: ${comment}`] ?? 0);
  return {
    vectors: vectors.length,
    accepted: vectors.filter(({ outcome }) => outcome === 'accepted').length,
    refused: vectors.filter(({ outcome }) => outcome === 'refused').length,
    deviations,
  };
}

function outcomeOf(ak: AttestationKey, attest: Uint8Array, signature: Uint8Array): Outcome {
  try {
    verifyAttestSignature(ak, { attest, signature });
    return 'accepted';
  } catch (cause) {
    expect(cause).toMatchObject({
      finding: { code: expect.stringMatching(/^signature-(invalid|malformed)$/) },
    });
    return 'refused';
  }
}

/**
 * The one deviation. P1363 is r ‖ s at full width, so a shorter one is of the wrong size; in a TPMT_SIGNATURE r
 * and s are integers with sizes of their own, which a TPM may shorten, and these are the right integers.
 */
const SIZE = 'accepted: incorrect size of signature';

const COMMON = { attributes: AK_ATTRIBUTES, authPolicy: EMPTY };

function eccArea(input: { curveId: number; hashId: number; x: string; y: string }) {
  const curve = curveById(input.curveId);
  if (curve === undefined) throw new Error('no such curve');
  const coordinate = (hex: string) =>
    fromHex(hex.padStart(2 * curve.coordinateSize, '0').slice(-2 * curve.coordinateSize));
  return encodeTpmtPublic({
    ...COMMON,
    type: 'ecc',
    nameAlg: SHA256,
    scheme: { id: ALG.ECDSA, hash: hashOf(input.hashId) },
    curve,
    x: coordinate(input.x),
    y: coordinate(input.y),
  });
}

function rsaArea({ modulus, publicExponent }: { modulus: string; publicExponent: string }) {
  return encodeTpmtPublic({
    ...COMMON,
    type: 'rsa',
    nameAlg: SHA256,
    scheme: { id: ALG.RSASSA, hash: SHA256 },
    keyBits: 2048,
    exponent: Number.parseInt(publicExponent, 16),
    modulus: fromHex(modulus).subarray(-256),
  });
}

describe.skipIf(!existsSync(FOLDER))(
  'Wycheproof through our entry points (skipped without ../shared/corpora)',
  () => {
    it.each([
      {
        file: 'ecdsa_secp256r1_sha256_p1363_test.json',
        curveId: 3,
        hashId: ALG.SHA256,
        expected: { vectors: 262, accepted: 185, refused: 77, deviations: { [SIZE]: 12 } },
      },
      {
        file: 'ecdsa_secp384r1_sha384_p1363_test.json',
        curveId: 4,
        hashId: ALG.SHA384,
        expected: { vectors: 280, accepted: 203, refused: 77, deviations: { [SIZE]: 10 } },
      },
    ])('S14 ECDSA: quote signatures, $file', ({ file, curveId, hashId, expected }) => {
      const vectors = wycheproof<{ publicKey: { wx: string; wy: string } }, { msg: string; sig: string }>(
        file,
      );
      const judged = vectors.map(({ publicKey, msg, sig, result, comment }) => {
        const ak = loadAttestationKey(eccArea({ curveId, hashId, x: publicKey.wx, y: publicKey.wy }));
        const half = Math.floor(sig.length / 4) * 2;
        const signature = encodeTpmtSignature({
          scheme: ALG.ECDSA,
          hash: hashOf(hashId),
          r: fromHex(sig.slice(0, half)),
          s: fromHex(sig.slice(half)),
        });
        return { result, comment, outcome: outcomeOf(ak, fromHex(msg), signature) };
      });
      expect(tally(judged)).toEqual(expected);
    });

    // Two of the keys have exponent 3: as attestation keys they are refused (E8), here their signatures count.
    it('S14 RSA PKCS #1 v1.5: quote signatures, rsa_signature_2048_sha256_test.json', () => {
      const file = 'rsa_signature_2048_sha256_test.json';
      const vectors = wycheproof<
        { publicKey: { modulus: string; publicExponent: string } },
        { msg: string; sig: string }
      >(file);
      const judged = vectors.map(({ publicKey, msg, sig, result, comment }) => {
        const publicArea = parseTpmtPublic(rsaArea(publicKey));
        const ak = { publicArea, key: toKeyObject(publicArea), name: '' };
        const signature = encodeTpmtSignature({ scheme: ALG.RSASSA, hash: SHA256, signature: fromHex(sig) });
        return { result, comment, outcome: outcomeOf(ak, fromHex(msg), signature) };
      });
      expect(tally(judged)).toEqual({ vectors: 259, accepted: 9, refused: 250, deviations: {} });
    });

    it('ECDH: the seed of an EK credential, ecdh_secp256r1_ecpoint_test.json', () => {
      const file = 'ecdh_secp256r1_ecpoint_test.json';
      const vectors = wycheproof<object, { public: string; private: string; shared: string }>(file);
      const judged = vectors.map(({ public: point, private: scalar, shared, result, comment }) => ({
        result,
        comment,
        outcome: isSeedOf({ point, scalar, shared }) ? ('accepted' as const) : ('refused' as const),
      }));
      expect(tally(judged)).toEqual({ vectors: 355, accepted: 330, refused: 25, deviations: {} });
    });

    it('HMAC: what KDFa and the credential are built on, hmac_sha256_test.json', () => {
      const vectors = wycheproof<{ tagSize: number }, { key: string; msg: string; tag: string }>(
        'hmac_sha256_test.json',
      );
      const judged = vectors.map(({ key, msg, tag, tagSize, result, comment }) => {
        const computed = createHmac('sha256', fromHex(key)).update(fromHex(msg)).digest();
        const isEqual = toHex(computed.subarray(0, tagSize / 8)) === tag;
        return { result, comment, outcome: isEqual ? ('accepted' as const) : ('refused' as const) };
      });
      expect(tally(judged)).toEqual({ vectors: 174, accepted: 66, refused: 108, deviations: {} });
    });
  },
);

/** Is this the seed that encapsulating to `point` with the ephemeral key `scalar` gives? */
function isSeedOf({ point, scalar, shared }: { point: string; scalar: string; shared: string }): boolean {
  const coordinates = fromHex(point).subarray(1);
  const ekPublic = parseTpmtPublic(
    eccArea({
      curveId: 3,
      hashId: ALG.SHA256,
      x: toHex(coordinates.subarray(0, 32)),
      y: toHex(coordinates.subarray(32)),
    }),
  ) as EccPublic;
  const ephemeral = fromHex(scalar.padStart(64, '0').slice(-64));
  try {
    const { seed, encryptedSeed } = eccSeed(ekPublic, 'IDENTITY', () => ephemeral);
    const partyU = encryptedSeed.subarray(2, 34);
    const partyV = ekPublic.x;
    const z = fromHex(shared);
    const expected = kdfe({ hash: SHA256, z, label: 'IDENTITY', partyU, partyV, bits: 256 });
    return toHex(seed) === toHex(expected);
  } catch {
    return false;
  }
}
