import { randomBytes } from 'node:crypto';

/** A source of cryptographically strong random bytes; a fixed one in tests only. */
export type RandomSource = (byteLength: number) => Uint8Array;

export const systemRandom: RandomSource = (byteLength) => randomBytes(byteLength);
