import { createPrivateKey, generatePrimeSync, type KeyObject } from 'node:crypto';

/**
 * RSA-2048 keys at the price of a multiplication: pairs out of a few primes. Two keys that share a prime
 * are worthless as secrets, and as good as any for a chip that exists for one test.
 */
export function createQuickRsaKey(): KeyObject {
  const pair = unusedPairs.pop();
  if (pair !== undefined) return keyOf(...pair);
  const prime = generatePrimeSync(1024, { bigint: true });
  if (gcd(prime - 1n, PUBLIC_EXPONENT) === 1n) {
    unusedPairs.push(...primes.map((known) => [known, prime] as const));
    primes.push(prime);
  }
  return createQuickRsaKey();
}

const PUBLIC_EXPONENT = 65537n;
const primes: bigint[] = [];
const unusedPairs: (readonly [bigint, bigint])[] = [];

function keyOf(p: bigint, q: bigint): KeyObject {
  const d = inverse(PUBLIC_EXPONENT, (p - 1n) * (q - 1n));
  const numbers = {
    n: p * q,
    e: PUBLIC_EXPONENT,
    d,
    p,
    q,
    dp: d % (p - 1n),
    dq: d % (q - 1n),
    qi: inverse(q, p),
  };
  const members = Object.entries(numbers).map(([name, value]) => [name, toBase64Url(value)]);
  return createPrivateKey({ key: { kty: 'RSA', ...Object.fromEntries(members) }, format: 'jwk' });
}

function toBase64Url(value: bigint): string {
  const hex = value.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url');
}

function gcd(a: bigint, b: bigint): bigint {
  return b === 0n ? a : gcd(b, a % b);
}

/** Extended Euclid, for coprime arguments. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [previous, current, previousFactor, factor] = [modulus, value % modulus, 0n, 1n];
  while (current !== 0n) {
    const quotient = previous / current;
    [previous, current] = [current, previous - quotient * current];
    [previousFactor, factor] = [factor, previousFactor - quotient * factor];
  }
  return ((previousFactor % modulus) + modulus) % modulus;
}
