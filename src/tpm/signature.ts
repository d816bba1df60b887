import { concatBytes } from '../core/bytes.ts';
import { ALG, algHex, type HashAlgorithm, hashById } from './algorithms.ts';
import { parseWhole, type StructureReader } from './reader.ts';
import { sized, u16 } from './writer.ts';

export interface RsaSignature {
  scheme: typeof ALG.RSASSA | typeof ALG.RSAPSS;
  hash: HashAlgorithm;
  signature: Uint8Array;
}

export interface EcdsaSignature {
  scheme: typeof ALG.ECDSA;
  hash: HashAlgorithm;
  r: Uint8Array;
  s: Uint8Array;
}

export type TpmSignature = RsaSignature | EcdsaSignature;

const MAX_RSA_BYTES = 512;
const MAX_COORDINATE_BYTES = 66;

/** TPMT_SIGNATURE (Part 2, section 11.3.4): RSASSA, RSAPSS or ECDSA; NULL, HMAC and the rest are refused. */
export function parseTpmtSignature(bytes: Uint8Array): TpmSignature {
  return parseWhole(bytes, 'TPMT_SIGNATURE', readSignature);
}

export function encodeTpmtSignature(signature: TpmSignature): Uint8Array {
  return concatBytes(
    u16(signature.scheme),
    u16(signature.hash.id),
    ...(signature.scheme === ALG.ECDSA
      ? [sized(signature.r), sized(signature.s)]
      : [sized(signature.signature)]),
  );
}

function readSignature(reader: StructureReader): TpmSignature {
  const scheme = reader.u16();
  if (scheme !== ALG.RSASSA && scheme !== ALG.RSAPSS && scheme !== ALG.ECDSA)
    reader.unsupported(`signature algorithm ${algHex(scheme)}`);
  const hashId = reader.u16();
  const hash = hashById(hashId) ?? reader.unsupported(`signature hash ${algHex(hashId)}`);
  if (scheme === ALG.ECDSA)
    return { scheme, hash, r: reader.sized(MAX_COORDINATE_BYTES), s: reader.sized(MAX_COORDINATE_BYTES) };
  return { scheme, hash, signature: reader.sized(MAX_RSA_BYTES) };
}
