import { constants, type KeyObject, verify } from 'node:crypto';
import { concatBytes } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { ALG, describeScheme, type EccCurve } from '../../tpm/algorithms.ts';
import { padInteger } from '../../tpm/public-key.ts';
import { type EcdsaSignature, parseTpmtSignature, type TpmSignature } from '../../tpm/signature.ts';
import type { AttestationKey } from '../keys/attestation-key.ts';
import { Refusal } from '../reasons.ts';

/**
 * Scheme and hash come from the key's own public area, never from the blob (Part 2, section 11.2.1).
 *
 * @returns the signature, whose scheme and hash are now known to be the key's
 * @throws {Refusal} `signature-malformed`, `signature-scheme-mismatch` or `signature-invalid`
 */
export function verifyAttestSignature(
  ak: AttestationKey,
  untrusted: { attest: Uint8Array; signature: Uint8Array },
): TpmSignature {
  const signature = parseSignature(untrusted.signature);
  const { scheme } = ak.publicArea;
  if (signature.scheme !== scheme.id || signature.hash !== scheme.hash)
    throw new Refusal(
      'signature-scheme-mismatch',
      `signature: ${describeScheme({ id: signature.scheme, hash: signature.hash })}, the attestation key makes ${describeScheme(scheme)}`,
    );
  if (!isSignedBy(ak, untrusted.attest, signature))
    throw new Refusal('signature-invalid', `signature: not made by attestation key ${ak.name}`);
  return signature;
}

function parseSignature(untrustedBytes: Uint8Array): TpmSignature {
  try {
    return parseTpmtSignature(untrustedBytes);
  } catch (cause) {
    throw new Refusal('signature-malformed', `signature: ${messageOf(cause)}`, { cause });
  }
}

function isSignedBy(
  { key, publicArea }: AttestationKey,
  attest: Uint8Array,
  signature: TpmSignature,
): boolean {
  const hash = signature.hash.name;
  if (signature.scheme === ALG.ECDSA)
    return publicArea.type === 'ecc' && isEcdsaOf({ key, curve: publicArea.curve }, attest, signature);
  const padding =
    signature.scheme === ALG.RSAPSS ? constants.RSA_PKCS1_PSS_PADDING : constants.RSA_PKCS1_PADDING;
  return verify(hash, attest, { key, padding }, signature.signature);
}

function isEcdsaOf(
  { key, curve }: { key: KeyObject; curve: EccCurve },
  attest: Uint8Array,
  { hash, r, s }: EcdsaSignature,
): boolean {
  const size = curve.coordinateSize;
  if (r.length > size || s.length > size) return false;
  const pair = concatBytes(padInteger(r, size), padInteger(s, size));
  return verify(hash.name, attest, { key, dsaEncoding: 'ieee-p1363' }, pair);
}
