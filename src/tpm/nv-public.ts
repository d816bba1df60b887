import { concatBytes } from '../core/bytes.ts';
import { algHex, type HashAlgorithm, hashById } from './algorithms.ts';
import { parseWhole, type StructureReader } from './reader.ts';
import { sized, u16, u32 } from './writer.ts';

/** TPMS_NV_PUBLIC (Part 2, section 13.5). */
export interface NvPublic {
  nvIndex: number;
  nameAlg: HashAlgorithm;
  /** TPMA_NV as an unsigned 32-bit number. */
  attributes: number;
  authPolicy: Uint8Array;
  dataSize: number;
  /** The TPMS_NV_PUBLIC exactly as read: the bytes that the Name covers. */
  raw: Uint8Array;
}

/** TPMA_NV (section 13.4), as far as we use it. What a TPM sets of itself is part of the Name, too. */
export const NV_ATTRIBUTE = {
  POLICYWRITE: 2 ** 3,
  /** Set by the TPM until the next Startup(CLEAR) of an index with WRITE_STCLEAR. */
  WRITELOCKED: 2 ** 11,
  WRITE_STCLEAR: 2 ** 14,
  OWNERREAD: 2 ** 17,
  AUTHREAD: 2 ** 18,
  NO_DA: 2 ** 25,
  /** Set by the TPM: the index holds data. */
  WRITTEN: 2 ** 29,
} as const;

/** TPM_HT_NV_INDEX (section 7.2). */
const NV_HANDLE_TYPE = 0x01;
const MAX_NV_PUBLIC_BYTES = 78;

export function parseTpmsNvPublic(bytes: Uint8Array): NvPublic {
  return parseWhole(bytes, 'TPMS_NV_PUBLIC', (reader) => readNvPublic(reader, bytes));
}

/** TPM2B_NV_PUBLIC (section 13.6). */
export function parseTpm2bNvPublic(bytes: Uint8Array): NvPublic {
  return parseTpmsNvPublic(
    parseWhole(bytes, 'TPM2B_NV_PUBLIC', (reader) => reader.sized(MAX_NV_PUBLIC_BYTES)),
  );
}

export function encodeTpmsNvPublic(area: Omit<NvPublic, 'raw'>): Uint8Array {
  return concatBytes(
    u32(area.nvIndex),
    u16(area.nameAlg.id),
    u32(area.attributes),
    sized(area.authPolicy),
    u16(area.dataSize),
  );
}

export function isWritten({ attributes }: NvPublic): boolean {
  return (attributes & NV_ATTRIBUTE.WRITTEN) !== 0;
}

function readNvPublic(reader: StructureReader, raw: Uint8Array): NvPublic {
  const nvIndex = reader.u32();
  if (nvIndex >>> 24 !== NV_HANDLE_TYPE) reader.invalid(`handle 0x${nvIndex.toString(16)} is no NV index`);
  const nameAlgId = reader.u16();
  const nameAlg = hashById(nameAlgId) ?? reader.unsupported(`nameAlg ${algHex(nameAlgId)}`);
  const attributes = reader.u32();
  const authPolicy = reader.sized(nameAlg.size);
  if (authPolicy.length !== 0 && authPolicy.length !== nameAlg.size)
    reader.invalid(`authPolicy of ${authPolicy.length} bytes under ${nameAlg.name}`);
  return { nvIndex, nameAlg, attributes, authPolicy, dataSize: reader.u16(), raw };
}
