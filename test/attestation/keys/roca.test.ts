import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { verifyIssuerKey } from '../../../src/attestation/endorsement/ek-signature-strength.ts';
import { verifyAkAttributes } from '../../../src/attestation/keys/ak.ts';
import { verifyEkPublic } from '../../../src/attestation/keys/ek-public.ts';
import { isRocaKey, isRocaModulus } from '../../../src/attestation/keys/roca.ts';
import { fromHex, toBase64Url } from '../../../src/core/bytes.ts';
import { createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import { createEk } from '../endorsement/certificate-maker.ts';
import { REAL_MODULUS } from './roca-modulus.ts';

/** How many primes the library multiplies, by key size: Nemec et al., CCS 2017, table 1. */
const PRIMES_BY_KEY_BITS = [
  [512, 39],
  [1024, 71],
  [2048, 126],
  [4096, 225],
] as const;

const GENERATOR = 65537n;

function primorial(count: number): bigint {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate += 1)
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  return primes.reduce((product, prime) => product * BigInt(prime), 1n);
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  if (exponent === 0n) return 1n;
  const half = power((base * base) % modulus, exponent / 2n, modulus);
  return exponent % 2n === 1n ? (half * base) % modulus : half;
}

function bytesOf(value: bigint): Uint8Array {
  const hex = value.toString(16);
  return fromHex(hex.length % 2 === 0 ? hex : `0${hex}`);
}

describe('ROCA', () => {
  it('E7 knows a modulus that was made by the library', () => {
    expect(isRocaModulus(fromHex(REAL_MODULUS))).toBe(true);
  });

  it.each(PRIMES_BY_KEY_BITS)('E7 knows moduli of the form in the paper, RSA-%i', (_bits, count) => {
    const m = primorial(count);
    const prime = (k: bigint, exponent: bigint) => k * m + power(GENERATOR, exponent, m);
    const modulus = prime(123457n, 987654321n) * prime(765431n, 1234567891011n);
    expect(isRocaModulus(bytesOf(modulus))).toBe(true);
    expect(isRocaModulus(bytesOf(modulus + 2n))).toBe(false);
  });

  it('takes no modulus for a bad one that only looks so for each prime alone', () => {
    // 1 modulo 3·5·…·163 is exponent 0; 65537 modulo 167 is exponent 1, and both orders are even.
    const others = primorial(38);
    const lone = [...Array(167).keys()]
      .map((k) => 1n + others * BigInt(k))
      .find((n) => n % 167n === 65537n % 167n);
    expect(lone).toBeDefined();
    expect(isRocaModulus(bytesOf(lone ?? 0n))).toBe(false);
  });

  it('does not find it in good keys, of any type', () => {
    for (let count = 0; count < 10; count += 1)
      expect(isRocaKey(generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey)).toBe(false);
    expect(isRocaKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)).toBe(false);
    expect(isRocaModulus(new Uint8Array(0))).toBe(false);
  });

  it('E7 is found in the key of a CA', () => {
    const jwk = { kty: 'RSA', n: toBase64Url(fromHex(REAL_MODULUS)), e: 'AQAB' };
    const key = createPublicKey({ key: jwk, format: 'jwk' });
    expect(isRocaKey(key)).toBe(true);
    expect(() => verifyIssuerKey('CA', key)).toThrow(expect.objectContaining({ code: 'key-roca' }));
  });

  it('E7 refuses an EK with such a modulus', async () => {
    const { ekPublic } = await createEk();
    expect(() => verifyEkPublic(ekPublic)).not.toThrow();
    const weak = { ...ekPublic, modulus: fromHex(REAL_MODULUS) };
    expect(() => verifyEkPublic(weak as typeof ekPublic)).toThrow(
      expect.objectContaining({ code: 'key-roca' }),
    );
  });

  it('E7 refuses an attestation key with such a modulus', () => {
    const { publicArea } = createSoftwareAk('rsassa').load();
    expect(() => verifyAkAttributes(publicArea)).not.toThrow();
    const weak = { ...publicArea, modulus: fromHex(REAL_MODULUS) } as typeof publicArea;
    expect(() => verifyAkAttributes(weak)).toThrow(expect.objectContaining({ code: 'key-roca' }));
  });
});
