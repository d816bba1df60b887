import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { asciiBytes, toHex } from '../../src/core/bytes.ts';
import {
  createPrivateKeyFor,
  signWithKey,
  type TufKey,
  tufKeyOf,
  verifySignature,
} from '../../src/signing/public-key.ts';
import { CORPORA } from '../corpora.ts';

// What metadata may be signed with on P-256: an Ecdsa-Sig-Value in DER (RFC 3279 section 2.2.3), one encoding
// for each pair of r and s. (r, n - s) is good where (r, s) is: nothing of ours takes a signature for an identity.

const VECTORS = `${CORPORA}/C2SP/wycheproof/testvectors_v1/ecdsa_secp256r1_sha256_p1363_test.json`;

interface Vector {
  readonly name: string;
  readonly key: TufKey;
  readonly message: Uint8Array;
  /** r and s, half of the bytes each (IEEE P1363). */
  readonly signature: string;
  readonly isValid: boolean;
  /** Its one fault is the number of bytes, which DER does not have. */
  readonly isOfWrongSize: boolean;
}

describe.skipIf(!existsSync(VECTORS))('S14 the Wycheproof vectors for ECDSA on P-256', () => {
  const vectors = existsSync(VECTORS) ? loadVectors() : [];
  const valid = vectors.filter(({ isValid }) => isValid);

  it('are judged alike, in DER', () => {
    const expressible = vectors.filter(({ isOfWrongSize }) => !isOfWrongSize);
    for (const { name, key, message, signature, isValid } of expressible)
      expect(verifySignature(key, message, derOf(halvesOf(signature))), name).toBe(isValid);
    expect([vectors.length, expressible.length, valid.length]).toEqual([262, 250, 173]);
  });

  it('are all refused in the encoding of IEEE P1363', () => {
    for (const { name, key, message, signature } of vectors)
      expect(verifySignature(key, message, signature), name).toBe(false);
  });

  it('are refused over another message', () => {
    for (const { name, key, message, signature } of valid)
      expect(
        verifySignature(key, Buffer.concat([message, message, asciiBytes('x')]), derOf(halvesOf(signature))),
        name,
      ).toBe(false);
  });

  it.each(Object.entries(encodings()))('are refused with %s', (_, encode) => {
    for (const { name, key, message, signature } of valid)
      expect(verifySignature(key, message, encode(halvesOf(signature))), name).toBe(false);
  });

  it('are refused cut off anywhere, and with any one bit changed', () => {
    const [{ key, message, signature } = fail()] = valid;
    const der = derOf(halvesOf(signature));
    for (let length = 0; length < der.length; length += 1)
      expect(verifySignature(key, message, der.slice(0, length)), `${length} digits`).toBe(false);
    for (let bit = 0; bit < der.length * 4; bit += 1)
      expect(verifySignature(key, message, flipBit(der, bit)), `bit ${bit}`).toBe(false);
  });
});

describe('S14 an ECDSA signature of our own', () => {
  const privateKey = createPrivateKeyFor('ecdsa-sha2-nistp256');
  const key = tufKeyOf(privateKey);
  const message = asciiBytes('message');
  const der = toHex(signWithKey(privateKey, key.scheme, message));
  const { r, s } = readDer(der);

  it('is good as it is, and with s in its other half', () => {
    expect(verifySignature(key, message, der)).toBe(true);
    expect(verifySignature(key, message, derOf({ r, s: ORDER - s }))).toBe(true);
  });

  it.each(Object.entries(encodings()))('is refused with %s', (_, encode) => {
    expect(verifySignature(key, message, encode({ r, s }))).toBe(false);
  });

  it('is refused in upper case, with a prefix, and as no text of bytes at all', () => {
    for (const hex of [der.toUpperCase(), `0x${der}`, `${der} `, `${der}0`, ''])
      expect(verifySignature(key, message, hex)).toBe(false);
  });
});

interface Pair {
  readonly r: bigint;
  readonly s: bigint;
}

/** SEC 2 section 2.4.2: n. */
const ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** Each breaks one rule of DER, or of what r and s may be. */
function encodings(): Readonly<Record<string, (pair: Pair) => string>> {
  return {
    'a byte after it': (pair) => `${derOf(pair)}00`,
    'a NULL after it': (pair) => `${derOf(pair)}0500`,
    'a third value inside': ({ r, s }) => sequence(integer(r) + integer(s) + integer(1n)),
    'a NULL inside': ({ r, s }) => sequence(`${integer(r)}${integer(s)}0500`),
    'itself twice': (pair) => derOf(pair) + derOf(pair),
    'no s': ({ r }) => sequence(integer(r)),
    'a zero before r': ({ r, s }) => sequence(value('02', `00${contents(r)}`) + integer(s)),
    'a zero before s': ({ r, s }) => sequence(integer(r) + value('02', `00${contents(s)}`)),
    'a long form of the length': ({ r, s }) => longLength('30', integer(r) + integer(s)),
    'a long form of the length of r': ({ r, s }) => sequence(longLength('02', contents(r)) + integer(s)),
    'a length until the end': ({ r, s }) => `3080${integer(r)}${integer(s)}0000`,
    'the tag of a set': ({ r, s }) => value('31', integer(r) + integer(s)),
    'octet strings for integers': ({ r, s }) => sequence(value('04', contents(r)) + value('04', contents(s))),
    'a wrapping sequence': (pair) => sequence(derOf(pair)),
    'a wrapping octet string': (pair) => value('04', derOf(pair)),
    'r of 0': ({ s }) => derOf({ r: 0n, s }),
    's of 0': ({ r }) => derOf({ r, s: 0n }),
    'both 0': () => derOf({ r: 0n, s: 0n }),
    'both empty': () => sequence('02000200'),
    'r negative': ({ r, s }) => derOf({ r: -r, s }),
    's negative': ({ r, s }) => derOf({ r, s: -s }),
    'r below by n': ({ r, s }) => derOf({ r: r - ORDER, s }),
    's below by n': ({ r, s }) => derOf({ r, s: s - ORDER }),
    'r above by n': ({ r, s }) => derOf({ r: r + ORDER, s }),
    's above by n': ({ r, s }) => derOf({ r, s: s + ORDER }),
    'r and s exchanged': ({ r, s }) => derOf(r === s ? { r, s: s + 1n } : { r: s, s: r }),
  };
}

function loadVectors(): readonly Vector[] {
  const { testGroups } = JSON.parse(readFileSync(VECTORS, 'utf8'));
  const vectors: Vector[] = [];
  for (const { publicKeyPem, tests } of testGroups)
    for (const { tcId, comment, msg, sig, result, flags } of tests)
      vectors.push({
        name: `vector ${tcId}, ${comment}`,
        key: { keytype: 'ecdsa', scheme: 'ecdsa-sha2-nistp256', keyval: { public: publicKeyPem } },
        message: Buffer.from(msg, 'hex'),
        signature: sig,
        isValid: result === 'valid',
        isOfWrongSize: flags.includes('SignatureSize'),
      });
  return vectors;
}

function halvesOf(hex: string): Pair {
  const half = hex.length / 2;
  return { r: BigInt(`0x0${hex.slice(0, half)}`), s: BigInt(`0x0${hex.slice(half)}`) };
}

function readDer(der: string): Pair {
  const [, r = '', s = ''] = splitIntegers(der);
  return { r: BigInt(`0x${r}`), s: BigInt(`0x${s}`) };
}

/** Of a signature that is known to be good. */
function splitIntegers(der: string): readonly string[] {
  const length = Number.parseInt(der.slice(6, 8), 16) * 2;
  return [der, der.slice(8, 8 + length), der.slice(8 + length + 4)];
}

const derOf = ({ r, s }: Pair): string => sequence(integer(r) + integer(s));
const sequence = (body: string): string => value('30', body);
const integer = (number: bigint): string => value('02', contents(number));
const value = (tag: string, body: string): string => `${tag}${lengthOf(body)}${body}`;
const longLength = (tag: string, body: string): string => `${tag}81${lengthOf(body)}${body}`;

/** X.690 section 10.1: the shortest form. All here are below 256 bytes. */
function lengthOf(body: string): string {
  const bytes = body.length / 2;
  return (bytes < 128 ? '' : '81') + bytes.toString(16).padStart(2, '0');
}

/** X.690 section 8.3: two's complement in the fewest bytes. */
function contents(number: bigint): string {
  let bits = 8n;
  while (BigInt.asIntN(Number(bits), number) !== number) bits += 8n;
  return BigInt.asUintN(Number(bits), number)
    .toString(16)
    .padStart(Number(bits / 4n), '0');
}

function flipBit(hex: string, bit: number): string {
  const bytes = Buffer.from(hex, 'hex');
  const index = bit >> 3;
  bytes.writeUInt8(bytes.readUInt8(index) ^ (1 << (bit & 7)), index);
  return toHex(bytes);
}

function fail(): never {
  throw new Error('there are no vectors');
}
