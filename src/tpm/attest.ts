import { concatBytes } from '../core/bytes.ts';
import { algHex, MAX_DIGEST_BYTES } from './algorithms.ts';
import { encodePcrSelections, type PcrSelection, readPcrSelections } from './pcr-selection.ts';
import { parseWhole, type StructureReader } from './reader.ts';
import { sized, u8, u16, u32, u64 } from './writer.ts';

/** TPMS_CLOCK_INFO (Part 2, section 10.11.1). */
export interface ClockInfo {
  /** Milliseconds that the TPM has been powered, as far as it knows. */
  clock: bigint;
  /** TPM resets (power cycles) since the last TPM2_Clear. */
  resetCount: number;
  /** TPM restarts and resumes since the last reset. */
  restartCount: number;
  /** False: the clock may run back after an unorderly shutdown. */
  safe: boolean;
}

interface AttestBase {
  /** Qualified Name of the signing key: not checkable without its parents' Names, so never judged. */
  qualifiedSigner: Uint8Array;
  extraData: Uint8Array;
  clockInfo: ClockInfo;
  firmwareVersion: bigint;
}

/** TPMS_QUOTE_INFO (section 10.12.4). */
export interface QuoteAttest extends AttestBase {
  type: 'quote';
  selections: PcrSelection[];
  pcrDigest: Uint8Array;
}

/** TPMS_NV_CERTIFY_INFO (section 10.12.8). */
export interface NvAttest extends AttestBase {
  type: 'nv';
  indexName: Uint8Array;
  offset: number;
  contents: Uint8Array;
}

/** A type we recognise by name only: its attested part is not read. */
export interface OtherAttest extends AttestBase {
  type: 'other';
  typeName: string;
}

export type TpmsAttest = QuoteAttest | NvAttest | OtherAttest;

export const TPM_GENERATED_VALUE = 0xff544347;
const ST_ATTEST_NV = 0x8014;
const ST_ATTEST_QUOTE = 0x8018;
/** TPMI_ST_ATTEST (section 10.12.11). */
const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [ST_ATTEST_NV, 'NV'],
  [ST_ATTEST_QUOTE, 'QUOTE'],
  [0x8015, 'COMMAND_AUDIT'],
  [0x8016, 'SESSION_AUDIT'],
  [0x8017, 'CERTIFY'],
  [0x8019, 'TIME'],
  [0x801a, 'CREATION'],
  [0x801c, 'NV_DIGEST'],
]);
/** TPM2B_NAME holds a handle or alg ‖ digest; TPM2B_DATA at most a TPMT_HA (sections 10.5.3 and 10.4.3). */
const MAX_NAME_BYTES = 2 + MAX_DIGEST_BYTES;
const MAX_NV_BYTES = 2048;

/** TPMS_ATTEST (section 10.12.12): what a restricted key signs only when the TPM itself made it. */
export function parseTpmsAttest(bytes: Uint8Array): TpmsAttest {
  return parseWhole(bytes, 'TPMS_ATTEST', readAttest);
}

export function encodeTpmsAttest(attest: QuoteAttest | NvAttest): Uint8Array {
  const { clockInfo } = attest;
  return concatBytes(
    u32(TPM_GENERATED_VALUE),
    u16(attest.type === 'quote' ? ST_ATTEST_QUOTE : ST_ATTEST_NV),
    sized(attest.qualifiedSigner),
    sized(attest.extraData),
    u64(clockInfo.clock),
    u32(clockInfo.resetCount),
    u32(clockInfo.restartCount),
    u8(clockInfo.safe ? 1 : 0),
    u64(attest.firmwareVersion),
    ...(attest.type === 'quote'
      ? [encodePcrSelections(attest.selections), sized(attest.pcrDigest)]
      : [sized(attest.indexName), u16(attest.offset), sized(attest.contents)]),
  );
}

function readAttest(reader: StructureReader): TpmsAttest {
  const magic = reader.u32();
  if (magic !== TPM_GENERATED_VALUE) reader.invalid('magic is not TPM_GENERATED_VALUE');
  const type = reader.u16();
  const typeName = TYPE_NAMES.get(type) ?? reader.invalid(`attestation type ${algHex(type)}`);
  const base: AttestBase = {
    qualifiedSigner: reader.sized(MAX_NAME_BYTES),
    extraData: reader.sized(MAX_NAME_BYTES),
    clockInfo: readClockInfo(reader),
    firmwareVersion: reader.u64(),
  };
  if (type === ST_ATTEST_QUOTE) {
    const selections = readPcrSelections(reader);
    const pcrDigest = reader.sized(MAX_DIGEST_BYTES);
    return { type: 'quote', ...base, selections, pcrDigest };
  }
  if (type === ST_ATTEST_NV) return { type: 'nv', ...base, ...readNvInfo(reader) };
  reader.fixed(reader.remaining);
  return { type: 'other', ...base, typeName };
}

function readClockInfo(reader: StructureReader): ClockInfo {
  const clock = reader.u64();
  const resetCount = reader.u32();
  const restartCount = reader.u32();
  const safe = reader.u8();
  if (safe > 1) reader.invalid(`TPMI_YES_NO ${safe}`);
  return { clock, resetCount, restartCount, safe: safe === 1 };
}

function readNvInfo(reader: StructureReader): Pick<NvAttest, 'indexName' | 'offset' | 'contents'> {
  return {
    indexName: reader.sized(MAX_NAME_BYTES),
    offset: reader.u16(),
    contents: reader.sized(MAX_NV_BYTES),
  };
}
