/** TPM_ALG_ID (Part 2, section 6.3; TCG Algorithm Registry): only what Bootward reads. */
export const ALG = {
  NULL: 0x0010,
  RSA: 0x0001,
  ECC: 0x0023,
  AES: 0x0006,
  CFB: 0x0043,
  RSASSA: 0x0014,
  RSAES: 0x0015,
  RSAPSS: 0x0016,
  OAEP: 0x0017,
  ECDSA: 0x0018,
  ECDH: 0x0019,
  SHA1: 0x0004,
  SHA256: 0x000b,
  SHA384: 0x000c,
  SHA512: 0x000d,
} as const;

export interface HashAlgorithm {
  id: number;
  /** The name in tpm2-tools, in our documents and in node:crypto alike. */
  name: string;
  size: number;
}

export const SHA1: HashAlgorithm = { id: ALG.SHA1, name: 'sha1', size: 20 };
export const SHA256: HashAlgorithm = { id: ALG.SHA256, name: 'sha256', size: 32 };

/** The one table of hashes: nothing else enumerates them. */
const HASHES: readonly HashAlgorithm[] = [
  SHA1,
  SHA256,
  { id: ALG.SHA384, name: 'sha384', size: 48 },
  { id: ALG.SHA512, name: 'sha512', size: 64 },
  { id: 0x0012, name: 'sm3', size: 32 },
  { id: 0x0027, name: 'sha3-256', size: 32 },
  { id: 0x0028, name: 'sha3-384', size: 48 },
  { id: 0x0029, name: 'sha3-512', size: 64 },
];

export interface EccCurve {
  /** TPM_ECC_CURVE (Part 2, section 6.4). */
  id: number;
  /** The name in JSON Web Keys. */
  name: 'P-256' | 'P-384' | 'P-521';
  /** The name that node:crypto's ECDH takes. */
  ecdhName: string;
  coordinateSize: number;
}

export const P256: EccCurve = { id: 0x0003, name: 'P-256', ecdhName: 'prime256v1', coordinateSize: 32 };

const CURVES: readonly EccCurve[] = [
  P256,
  { id: 0x0004, name: 'P-384', ecdhName: 'secp384r1', coordinateSize: 48 },
  { id: 0x0005, name: 'P-521', ecdhName: 'secp521r1', coordinateSize: 66 },
];

const hashesById = new Map(HASHES.map((hash) => [hash.id, hash]));
const hashesByName = new Map(HASHES.map((hash) => [hash.name, hash]));
const curvesById = new Map(CURVES.map((curve) => [curve.id, curve]));

export const MAX_DIGEST_BYTES = 64;

export function hashById(id: number): HashAlgorithm | undefined {
  return hashesById.get(id);
}

export function hashByName(name: string): HashAlgorithm | undefined {
  return hashesByName.get(name);
}

export function curveById(id: number): EccCurve | undefined {
  return curvesById.get(id);
}

/** "ECDSA with sha256", or the number of a scheme that we do not read. */
export function describeScheme({ id, hash }: { id: number; hash?: HashAlgorithm | undefined }): string {
  const name = Object.entries(ALG).find(([, value]) => value === id)?.[0] ?? algHex(id);
  return hash === undefined ? name : `${name} with ${hash.name}`;
}

export function algHex(id: number): string {
  return `0x${id.toString(16).padStart(4, '0')}`;
}
