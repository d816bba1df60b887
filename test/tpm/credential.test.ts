import {
  constants,
  createECDH,
  createHmac,
  createPrivateKey,
  generateKeyPairSync,
  privateDecrypt,
} from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fromBase64Url, fromHex, toBase64Url, toHex } from '../../src/core/bytes.ts';
import { systemRandom } from '../../src/core/random.ts';
import { createSoftwareAk, hashOf } from '../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById, hashById } from '../../src/tpm/algorithms.ts';
import { eccSeed, makeCredential, rsaSeed } from '../../src/tpm/credential.ts';
import { kdfa, kdfe } from '../../src/tpm/kdf.ts';
import { attributesOf } from '../../src/tpm/object-attributes.ts';
import {
  type EccPublic,
  encodeTpmtPublic,
  parseTpmtPublic,
  type RsaPublic,
} from '../../src/tpm/public-area.ts';
import { CORPORA } from '../corpora.ts';

const VECTORS = `${CORPORA}/google/go-tpm/tpm2/test/testvectors`;
const vectors = <T>(name: string): T[] =>
  existsSync(VECTORS) ? JSON.parse(readFileSync(join(VECTORS, `${name}.json`), 'utf8')) : [];

interface KdfVector {
  Name: string;
  HashAlg: number;
  Key: string;
  Z: string;
  Label: string;
  ContextU: string;
  ContextV: string;
  Bits: number;
  Result: string;
}
interface EncapsVector {
  Name: string;
  Label: string;
  PublicKey: string;
  PrivateKey: string;
  EphemeralPrivate: string;
  OAEPSalt: string;
  Secret: string;
  Ciphertext: string;
}

describe.skipIf(!existsSync(VECTORS))('vectors of google/go-tpm', () => {
  it('KDFa gives what Part 1, section 11.4.10.2 gives', () => {
    const all = vectors<KdfVector>('kdfa');
    expect(all).toHaveLength(100);
    for (const v of all) {
      const out = kdfa({
        hash: hashOf(v.HashAlg),
        key: fromHex(v.Key),
        label: v.Label,
        contextU: fromHex(v.ContextU),
        contextV: fromHex(v.ContextV),
        bits: v.Bits,
      });
      expect(toHex(out), v.Name).toBe(v.Result);
    }
  });

  it('KDFe gives what Part 1, section 11.4.10.3 gives', () => {
    const all = vectors<KdfVector>('kdfe');
    expect(all).toHaveLength(100);
    for (const v of all) {
      const out = kdfe({
        hash: hashOf(v.HashAlg),
        z: fromHex(v.Z),
        label: v.Label,
        partyU: fromHex(v.ContextU),
        partyV: fromHex(v.ContextV),
        bits: v.Bits,
      });
      expect(toHex(out), v.Name).toBe(v.Result);
    }
  });

  it('ECC seeds are encapsulated as annex C.6.1 says', () => {
    const all = vectors<EncapsVector>('ecc_labeled_encaps');
    const read = all.filter(({ PublicKey }) => isReadable(PublicKey));
    // The other 24 keys name the scheme ECMQV, which no EK has: refused when they are read.
    expect([all.length, read.length]).toEqual([100, 76]);
    for (const v of read) {
      const area = parseTpmtPublic(fromHex(v.PublicKey)) as EccPublic;
      const scalar = fromHex(v.EphemeralPrivate.padStart(2 * area.curve.coordinateSize, '0'));
      const { seed, encryptedSeed } = eccSeed(area, v.Label, () => scalar);
      expect({ seed: toHex(seed), encryptedSeed: toHex(encryptedSeed) }, v.Name).toEqual({
        seed: v.Secret,
        encryptedSeed: v.Ciphertext,
      });
    }
  });

  // The other 46 keys name OAEP with a hash, which then counts in place of the name algorithm; no EK does.
  it('RSA seeds are encrypted as annex B.10.4 says: the vector and our own open alike', () => {
    const all = vectors<EncapsVector>('rsa_labeled_encaps').map((v) => ({
      ...v,
      area: parseTpmtPublic(fromHex(v.PublicKey)) as RsaPublic,
    }));
    const schemeless = all.filter(({ area }) => area.scheme.id === ALG.NULL);
    expect([all.length, schemeless.length]).toEqual([100, 54]);
    for (const { area, ...v } of schemeless) {
      const open = openerOf(area, { label: v.Label, sensitive: fromHex(v.PrivateKey) });
      expect(open(fromHex(v.Ciphertext)), v.Name).toBe(v.Secret);
      const { seed, encryptedSeed } = rsaSeed(area, v.Label, systemRandom);
      expect(open(encryptedSeed), v.Name).toBe(toHex(seed));
    }
  });
});

/** Decrypts what was encrypted to this key, whose TPMT_SENSITIVE ends with one of its primes. */
function openerOf(area: RsaPublic, { label, sensitive }: { label: string; sensitive: Uint8Array }) {
  const integer = (bytes: Uint8Array) => BigInt(`0x${toHex(bytes)}`);
  const p = integer(sensitive.subarray(-area.keyBits / 16));
  const [n, e] = [integer(area.modulus), BigInt(area.exponent)];
  const q = n / p;
  const d = inverse(e, (p - 1n) * (q - 1n));
  const numbers = { n, e, d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) };
  const jwk = Object.entries(numbers).map(([name, value]) => {
    const hex = value.toString(16);
    return [name, toBase64Url(fromHex(hex.length % 2 === 0 ? hex : `0${hex}`))];
  });
  const key = createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(jwk) }, format: 'jwk' });
  const padding = constants.RSA_PKCS1_OAEP_PADDING;
  const oaep = { padding, oaepHash: area.nameAlg.name, oaepLabel: Buffer.from(`${label}\0`) };
  return (ciphertext: Uint8Array) => toHex(privateDecrypt({ key, ...oaep }, ciphertext));
}

/** Extended Euclid. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value, modulus, 1n, 0n];
  while (b !== 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y];
  return ((x % modulus) + modulus) % modulus;
}

function isReadable(publicKey: string): boolean {
  try {
    parseTpmtPublic(fromHex(publicKey));
    return true;
  } catch {
    return false;
  }
}

const EK_ATTRIBUTES = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
);
const SHA256 = hashOf(ALG.SHA256);

function rsaEk(changes: { attributes?: number; symmetric?: { keyBits: 128; mode: number } | null } = {}) {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const modulus = Buffer.from(publicKey.export({ format: 'jwk' }).n ?? '', 'base64url');
  const symmetric =
    changes.symmetric === undefined ? { keyBits: 128 as const, mode: ALG.CFB } : changes.symmetric;
  const ekPublic = parseTpmtPublic(
    encodeTpmtPublic({
      type: 'rsa',
      nameAlg: SHA256,
      attributes: changes.attributes ?? EK_ATTRIBUTES,
      authPolicy: new Uint8Array(32),
      ...(symmetric && { symmetric }),
      scheme: { id: ALG.NULL },
      keyBits: 2048,
      exponent: 65537,
      modulus,
    }),
  );
  return { ekPublic, privateKey };
}

function eccEk(namedCurve: 'P-256' | 'P-521') {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve });
  const { x = '', y = '' } = publicKey.export({ format: 'jwk' });
  const curve = curveById(namedCurve === 'P-256' ? 3 : 5);
  if (curve === undefined) throw new Error('no such curve');
  return parseTpmtPublic(
    encodeTpmtPublic({
      type: 'ecc',
      nameAlg: SHA256,
      attributes: EK_ATTRIBUTES,
      authPolicy: new Uint8Array(32),
      symmetric: { keyBits: 128, mode: ALG.CFB },
      scheme: { id: ALG.NULL },
      curve,
      x: fromBase64Url(x),
      y: fromBase64Url(y),
    }),
  );
}

describe('makeCredential', () => {
  const objectName = new Uint8Array(34).fill(7);
  const credential = new Uint8Array(32).fill(9);

  it('seals to the EK: its private half finds the seed and the HMAC over the Name holds', () => {
    const { ekPublic, privateKey } = rsaEk();
    const made = makeCredential({ ekPublic, objectName, credential, random: systemRandom });
    const seed = privateDecrypt(
      {
        key: privateKey,
        padding: constants.RSA_PKCS1_OAEP_PADDING,
        oaepHash: 'sha256',
        oaepLabel: Buffer.from('IDENTITY\0'),
      },
      made.encryptedSecret.subarray(2),
    );
    const empty = new Uint8Array(0);
    const key = kdfa({
      hash: SHA256,
      key: seed,
      label: 'INTEGRITY',
      contextU: empty,
      contextV: empty,
      bits: 256,
    });
    const integrity = createHmac('sha256', key)
      .update(made.credentialBlob.subarray(36))
      .update(objectName)
      .digest('hex');
    expect(toHex(made.credentialBlob.subarray(4, 36))).toBe(integrity);
  });

  it('refuses a key that is no EK', () => {
    const signing = parseTpmtPublic(createSoftwareAk().publicBytes);
    const noCipher = rsaEk({ symmetric: null }).ekPublic;
    const ctr = rsaEk({ symmetric: { keyBits: 128, mode: 0x40 } }).ekPublic;
    for (const ekPublic of [signing, noCipher, ctr])
      expect(() => makeCredential({ ekPublic, objectName, credential, random: systemRandom })).toThrow(
        expect.objectContaining({ code: 'ek-unsuitable' }),
      );
  });

  it('refuses an EK that OpenSSL cannot calculate with, with a code of its own', () => {
    const { ekPublic } = rsaEk();
    const even = { ...ekPublic, modulus: new Uint8Array(256).fill(0xfe) } as RsaPublic;
    expect(() => makeCredential({ ekPublic: even, objectName, credential, random: systemRandom })).toThrow(
      expect.objectContaining({ code: 'ek-unsuitable', message: expect.stringContaining('nothing can be') }),
    );
  });

  it('refuses a credential longer than the name digest of the EK', () => {
    const { ekPublic } = rsaEk();
    expect(() =>
      makeCredential({ ekPublic, objectName, credential: new Uint8Array(33), random: systemRandom }),
    ).toThrow(expect.objectContaining({ code: 'credential-too-long' }));
  });

  it('draws an ephemeral scalar again when it is none, and gives up on a broken source', () => {
    const ek = { ...(parseTpmtPublic(createSoftwareAk().publicBytes) as EccPublic) };
    let calls = 0;
    eccSeed(ek, 'IDENTITY', (length) => {
      calls += 1;
      return new Uint8Array(length).fill(calls === 1 ? 0 : 1);
    });
    expect(calls).toBe(2);
    expect(() => eccSeed(ek, 'IDENTITY', (length) => new Uint8Array(length))).toThrow(
      expect.objectContaining({ code: 'ek-unsuitable' }),
    );
  });

  it('makes a credential for a P-521 EK, whose random scalars are cut to 521 bits', () => {
    const ekPublic = eccEk('P-521');
    const drawn: number[] = [];
    const random = (length: number) => {
      drawn.push(length);
      return new Uint8Array(length).fill(0xff).fill(1, 1, 8);
    };
    const made = makeCredential({ ekPublic, objectName, credential, random });
    expect(drawn).toEqual([66]);
    const scalar = random(66);
    scalar[0] = 1;
    const ephemeral = createECDH('secp521r1');
    ephemeral.setPrivateKey(scalar);
    expect(toHex(made.encryptedSecret.subarray(4, 4 + 66))).toBe(
      toHex(ephemeral.getPublicKey().subarray(1, 1 + 66)),
    );
  });

  it('passes on its own refusal when no ephemeral key can be drawn', () => {
    const random = (length: number) => new Uint8Array(length);
    expect(() => makeCredential({ ekPublic: eccEk('P-256'), objectName, credential, random })).toThrow(
      expect.objectContaining({ code: 'ek-unsuitable', message: 'no ephemeral key could be drawn' }),
    );
  });

  it('knows the hashes of all EK templates', () => {
    expect([ALG.SHA256, ALG.SHA384, ALG.SHA512].map((id) => hashById(id)?.size)).toEqual([32, 48, 64]);
  });
});
