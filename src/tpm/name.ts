import { createHash } from 'node:crypto';
import { concatBytes } from '../core/bytes.ts';
import type { HashAlgorithm } from './algorithms.ts';
import { u16 } from './writer.ts';

/** The Name of an object or NV index (Part 1, section 16): nameAlg ‖ H(public area as marshalled). */
export function computeName(area: { nameAlg: HashAlgorithm; raw: Uint8Array }): Uint8Array {
  return concatBytes(u16(area.nameAlg.id), createHash(area.nameAlg.name).update(area.raw).digest());
}
