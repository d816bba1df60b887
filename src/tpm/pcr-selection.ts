import { concatBytes } from '../core/bytes.ts';
import { algHex, type HashAlgorithm, hashById } from './algorithms.ts';
import type { StructureReader } from './reader.ts';
import { u8, u16, u32 } from './writer.ts';

/** TPMS_PCR_SELECTION (Part 2, section 10.6.2). */
export interface PcrSelection {
  hash: HashAlgorithm;
  /** Ascending. */
  pcrs: readonly number[];
}

/** A PC Client TPM has PCRs 0 to 23 (PTP, section 4.6). */
export const PCR_COUNT = 24;
const MAX_SELECTIONS = 16;
const MIN_SELECT_BYTES = PCR_COUNT / 8;
const MAX_SELECT_BYTES = 4;

/** TPML_PCR_SELECTION (section 10.9.7). Duplicates and empty masks are legal here; the verifier judges them. */
export function readPcrSelections(reader: StructureReader): PcrSelection[] {
  const count = reader.u32();
  if (count > MAX_SELECTIONS) reader.invalid(`${count} PCR selections, at most ${MAX_SELECTIONS}`);
  const selections: PcrSelection[] = [];
  while (selections.length < count) selections.push(readSelection(reader));
  return selections;
}

export function encodePcrSelections(selections: readonly PcrSelection[]): Uint8Array {
  return concatBytes(u32(selections.length), ...selections.map(encodeSelection));
}

function readSelection(reader: StructureReader): PcrSelection {
  const id = reader.u16();
  const hash = hashById(id) ?? reader.unsupported(`PCR bank ${algHex(id)}`);
  const size = reader.u8();
  if (size < MIN_SELECT_BYTES || size > MAX_SELECT_BYTES) reader.invalid(`sizeofSelect ${size}`);
  const pcrs = bitsOf(reader.fixed(size));
  if (pcrs.some((pcr) => pcr >= PCR_COUNT)) reader.invalid(`PCR ${pcrs.at(-1)} is selected`);
  return { hash, pcrs };
}

function encodeSelection({ hash, pcrs }: PcrSelection): Uint8Array {
  const mask = pcrs.reduce((bits, pcr) => bits | (1 << pcr), 0);
  const bytes = [mask & 0xff, (mask >>> 8) & 0xff, mask >>> 16];
  return concatBytes(u16(hash.id), u8(bytes.length), ...bytes.map(u8));
}

function bitsOf(mask: Uint8Array): number[] {
  const out: number[] = [];
  for (const [index, byte] of mask.entries())
    for (let bit = 0; bit < 8; bit += 1) if ((byte >> bit) & 1) out.push(8 * index + bit);
  return out;
}
