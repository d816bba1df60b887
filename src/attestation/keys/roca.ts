import type { KeyObject } from 'node:crypto';
import { toHex } from '../../core/bytes.ts';
import { expectTag, sequenceOf, TAG } from '../x509/x509-der.ts';

/** The library's primes are 65537^a modulo the product of the first primes: 39 of them for its shortest keys. */
const GENERATOR = 65537;
const LAST_PRIME = 167;

interface Residue {
  prime: number;
  /** Powers of the generator modulo `prime`, by exponent; its length is the order of the generator. */
  exponentOf: ReadonlyMap<number, number>;
}

const RESIDUES: readonly Residue[] = oddPrimes(LAST_PRIME).map((prime) => ({
  prime,
  exponentOf: powersOfGenerator(prime),
}));

/**
 * ROCA (CVE-2017-15361): keys of one widespread TPM library can be factored, and their modulus tells. Primes
 * have the form k·M + (65537^a mod M), so the modulus is a power of 65537 modulo M, and modulo each prime in
 * M: M. Nemec et al., "The Return of Coppersmith's Attack", CCS 2017, section 2.3. We also require that the
 * exponents found for the single primes are those of one power, so that about one good key in 2^150 is
 * taken for a bad one.
 */
export function isRocaModulus(modulus: Uint8Array): boolean {
  const value = BigInt(`0x0${toHex(modulus)}`);
  const found: { exponent: number; order: number }[] = [];
  for (const { prime, exponentOf } of RESIDUES) {
    const exponent = exponentOf.get(Number(value % BigInt(prime)));
    if (exponent === undefined) return false;
    found.push({ exponent, order: exponentOf.size });
  }
  return found.every((one, index) => found.slice(index + 1).every((other) => agree(one, other)));
}

/** The same for a key of any type: only RSA can be affected. */
export function isRocaKey(key: KeyObject): boolean {
  if (key.asymmetricKeyType !== 'rsa') return false;
  const [modulus] = sequenceOf(key.export({ type: 'pkcs1', format: 'der' }));
  return isRocaModulus(expectTag(modulus, TAG.integer).content);
}

/** Chinese remainder theorem: congruences have a common solution if every two of them have one. */
function agree(one: { exponent: number; order: number }, other: { exponent: number; order: number }) {
  return (one.exponent - other.exponent) % greatestCommonDivisor(one.order, other.order) === 0;
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}

function oddPrimes(last: number): number[] {
  const primes: number[] = [];
  for (let candidate = 3; candidate <= last; candidate += 2)
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  return primes;
}

function powersOfGenerator(prime: number): Map<number, number> {
  const exponentOf = new Map<number, number>();
  for (let power = 1; !exponentOf.has(power); power = (power * GENERATOR) % prime)
    exponentOf.set(power, exponentOf.size);
  return exponentOf;
}
