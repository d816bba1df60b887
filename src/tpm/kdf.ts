import { createHash, createHmac } from 'node:crypto';
import { asciiBytes, concatBytes } from '../core/bytes.ts';
import type { HashAlgorithm } from './algorithms.ts';
import { u32 } from './writer.ts';

/** KDFa (Part 1, section 11.4.10.2): SP 800-108 counter mode with HMAC; the label ends with its NUL. */
export function kdfa(input: {
  hash: HashAlgorithm;
  key: Uint8Array;
  label: string;
  contextU: Uint8Array;
  contextV: Uint8Array;
  bits: number;
}): Uint8Array {
  const { hash, key, contextU, contextV, bits } = input;
  const label = asciiBytes(`${input.label}\0`);
  return firstBits(hash, bits, (counter) =>
    createHmac(hash.name, key)
      .update(concatBytes(counter, label, contextU, contextV, u32(bits)))
      .digest(),
  );
}

/** KDFe (Part 1, section 11.4.10.3): SP 800-56A concatenation; U and V are the parties' x coordinates. */
export function kdfe(input: {
  hash: HashAlgorithm;
  z: Uint8Array;
  label: string;
  partyU: Uint8Array;
  partyV: Uint8Array;
  bits: number;
}): Uint8Array {
  const { hash, z, partyU, partyV, bits } = input;
  const label = asciiBytes(`${input.label}\0`);
  return firstBits(hash, bits, (counter) =>
    createHash(hash.name)
      .update(concatBytes(counter, z, label, partyU, partyV))
      .digest(),
  );
}

/** Counts from 1; when `bits` is no multiple of 8 the unused high bits of the first byte are cleared. */
function firstBits(
  hash: HashAlgorithm,
  bits: number,
  block: (counter: Uint8Array) => Uint8Array,
): Uint8Array {
  const byteLength = Math.ceil(bits / 8);
  const blocks = Array.from({ length: Math.ceil(byteLength / hash.size) }, (_, index) =>
    block(u32(index + 1)),
  );
  const spareBits = 8 * byteLength - bits;
  return concatBytes(...blocks)
    .subarray(0, byteLength)
    .map((byte, index) => (index === 0 ? byte & (0xff >> spareBits) : byte));
}
