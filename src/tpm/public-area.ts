import { concatBytes } from '../core/bytes.ts';
import { ALG, algHex, curveById, type EccCurve, type HashAlgorithm, hashById } from './algorithms.ts';
import { hasReservedBits } from './object-attributes.ts';
import { parseWhole, type StructureReader } from './reader.ts';
import { sized, u16, u32 } from './writer.ts';

/** TPMT_SYM_DEF_OBJECT (Part 2, section 11.1.7) of a parent or EK: AES only. */
export interface SymmetricDefinition {
  keyBits: 128 | 192 | 256;
  /** TPM_ALG_ID of the mode. */
  mode: number;
}

/** TPMT_RSA_SCHEME and TPMT_ECC_SCHEME (sections 11.2.4.2 and 11.2.5.6). */
export interface AsymmetricScheme {
  id: number;
  /** Absent for the schemes that name none: NULL and RSAES. */
  hash?: HashAlgorithm;
}

interface PublicAreaBase {
  nameAlg: HashAlgorithm;
  /** TPMA_OBJECT as an unsigned 32-bit number. */
  attributes: number;
  authPolicy: Uint8Array;
  symmetric?: SymmetricDefinition;
  scheme: AsymmetricScheme;
  /** The TPMT_PUBLIC exactly as read: the bytes that the Name covers. */
  raw: Uint8Array;
}

export interface RsaPublic extends PublicAreaBase {
  type: 'rsa';
  keyBits: number;
  exponent: number;
  modulus: Uint8Array;
}

export interface EccPublic extends PublicAreaBase {
  type: 'ecc';
  curve: EccCurve;
  x: Uint8Array;
  y: Uint8Array;
}

export type TpmPublic = RsaPublic | EccPublic;

const DEFAULT_RSA_EXPONENT = 65537;
const RSA_KEY_BITS = new Set([1024, 2048, 3072, 4096]);
const MAX_PUBLIC_BYTES = 1024;
const RSA_SCHEMES: readonly number[] = [ALG.NULL, ALG.RSASSA, ALG.RSAES, ALG.RSAPSS, ALG.OAEP];
const ECC_SCHEMES: readonly number[] = [ALG.NULL, ALG.ECDSA, ALG.ECDH];
const SCHEMES_WITHOUT_HASH: readonly number[] = [ALG.NULL, ALG.RSAES];

/** TPMT_PUBLIC (Part 2, section 12.2.4) of an RSA or ECC key. */
export function parseTpmtPublic(bytes: Uint8Array): TpmPublic {
  return parseWhole(bytes, 'TPMT_PUBLIC', (reader) => readPublic(reader, bytes));
}

/** TPM2B_PUBLIC (Part 2, section 12.2.5). */
export function parseTpm2bPublic(bytes: Uint8Array): TpmPublic {
  return parseTpmtPublic(parseWhole(bytes, 'TPM2B_PUBLIC', (reader) => reader.sized(MAX_PUBLIC_BYTES)));
}

/** The inverse of {@link parseTpmtPublic}: written from the fields, not from `raw`. */
export function encodeTpmtPublic(area: Omit<RsaPublic, 'raw'> | Omit<EccPublic, 'raw'>): Uint8Array {
  const { symmetric, scheme } = area;
  return concatBytes(
    u16(area.type === 'rsa' ? ALG.RSA : ALG.ECC),
    u16(area.nameAlg.id),
    u32(area.attributes),
    sized(area.authPolicy),
    symmetric === undefined
      ? u16(ALG.NULL)
      : concatBytes(u16(ALG.AES), u16(symmetric.keyBits), u16(symmetric.mode)),
    u16(scheme.id),
    ...(scheme.hash === undefined ? [] : [u16(scheme.hash.id)]),
    ...(area.type === 'rsa'
      ? [
          u16(area.keyBits),
          u32(area.exponent === DEFAULT_RSA_EXPONENT ? 0 : area.exponent),
          sized(area.modulus),
        ]
      : [u16(area.curve.id), u16(ALG.NULL), sized(area.x), sized(area.y)]),
  );
}

function readPublic(reader: StructureReader, raw: Uint8Array): TpmPublic {
  const type = reader.u16();
  if (type !== ALG.RSA && type !== ALG.ECC) reader.unsupported(`key type ${algHex(type)}`);
  const nameAlg = readHash(reader, 'nameAlg');
  const attributes = reader.u32();
  if (hasReservedBits(attributes)) reader.invalid('reserved attribute bits are set');
  const authPolicy = reader.sized(nameAlg.size);
  if (authPolicy.length !== 0 && authPolicy.length !== nameAlg.size)
    reader.invalid(`authPolicy of ${authPolicy.length} bytes under ${nameAlg.name}`);
  const symmetric = readSymmetric(reader);
  const base = {
    nameAlg,
    attributes,
    authPolicy,
    ...(symmetric === undefined ? {} : { symmetric }),
    scheme: readScheme(reader, type === ALG.RSA ? RSA_SCHEMES : ECC_SCHEMES),
    raw,
  };
  return type === ALG.RSA
    ? { type: 'rsa', ...base, ...readRsa(reader) }
    : { type: 'ecc', ...base, ...readEcc(reader) };
}

function readSymmetric(reader: StructureReader): SymmetricDefinition | undefined {
  const algorithm = reader.u16();
  if (algorithm === ALG.NULL) return undefined;
  if (algorithm !== ALG.AES) reader.unsupported(`symmetric algorithm ${algHex(algorithm)}`);
  const keyBits = reader.u16();
  if (keyBits !== 128 && keyBits !== 192 && keyBits !== 256) reader.invalid(`AES with ${keyBits} bits`);
  return { keyBits, mode: reader.u16() };
}

function readScheme(reader: StructureReader, allowed: readonly number[]): AsymmetricScheme {
  const id = reader.u16();
  if (!allowed.includes(id)) reader.unsupported(`scheme ${algHex(id)}`);
  return SCHEMES_WITHOUT_HASH.includes(id) ? { id } : { id, hash: readHash(reader, 'scheme hash') };
}

/** TPMS_RSA_PARMS after the scheme (section 12.2.3.5), then TPM2B_PUBLIC_KEY_RSA. Exponent 0 means 2^16 + 1. */
function readRsa(reader: StructureReader): Pick<RsaPublic, 'keyBits' | 'exponent' | 'modulus'> {
  const keyBits = reader.u16();
  if (!RSA_KEY_BITS.has(keyBits)) reader.unsupported(`RSA with ${keyBits} bits`);
  const exponent = reader.u32() || DEFAULT_RSA_EXPONENT;
  const modulus = reader.sized(keyBits / 8);
  if (modulus.length !== keyBits / 8 || !hasTopBit(modulus))
    reader.invalid(`the modulus does not have ${keyBits} bits`);
  if (!isOdd(modulus)) reader.invalid('the modulus is even');
  return { keyBits, exponent, modulus };
}

function hasTopBit(integer: Uint8Array): boolean {
  return integer.subarray(0, 1).some((byte) => byte & 0x80);
}

function isOdd(integer: Uint8Array): boolean {
  return integer.subarray(-1).some((byte) => byte & 1);
}

/** TPMS_ECC_PARMS after the scheme (section 12.2.3.6), then TPMS_ECC_POINT. */
function readEcc(reader: StructureReader): Pick<EccPublic, 'curve' | 'x' | 'y'> {
  const curveId = reader.u16();
  const curve = curveById(curveId) ?? reader.unsupported(`curve ${algHex(curveId)}`);
  const kdf = reader.u16();
  if (kdf !== ALG.NULL) reader.unsupported(`key derivation scheme ${algHex(kdf)}`);
  const x = reader.sized(curve.coordinateSize);
  const y = reader.sized(curve.coordinateSize);
  if (x.length === 0 || y.length === 0) reader.invalid('the point has no coordinates');
  return { curve, x, y };
}

function readHash(reader: StructureReader, field: string): HashAlgorithm {
  const id = reader.u16();
  return hashById(id) ?? reader.unsupported(`${field} ${algHex(id)}`);
}
