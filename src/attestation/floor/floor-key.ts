import { createPublicKey, verify } from 'node:crypto';
import { bytesEqual, EMPTY, fromBase64, fromHex } from '../../core/bytes.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import { ALG, P256, SHA256 } from '../../tpm/algorithms.ts';
import { computeName } from '../../tpm/name.ts';
import { attributesOf } from '../../tpm/object-attributes.ts';
import { encodeTpmtPublic } from '../../tpm/public-area.ts';

export class FloorKeyError extends CodedError<'floor-key-invalid'> {
  constructor(message: string, options?: ErrorOptions) {
    super('floor-key-invalid', `floor key: ${message}`, options);
  }
}

/** RFC 5480 section 2: a P-256 key's SubjectPublicKeyInfo up to the 64 bytes of an uncompressed point. */
const P256_SPKI_PREFIX = fromHex('3059301306072a8648ce3d020106082a8648ce3d03010703420004');

/** Of a key that only verifies, as `tpm2_loadexternal` gives them to one in PEM: the Name depends on them. */
const EXTERNAL_ATTRIBUTES = attributesOf('userWithAuth', 'decrypt', 'sign');

/**
 * The one key whose approvals let stage-0 write the floor.
 *
 * @param spki base64, as a stage-0 listing has it
 * @returns SubjectPublicKeyInfo, DER
 * @throws {FloorKeyError} for anything but a P-256 key in its one spelling
 */
export function parseFloorKey(spki: string): Uint8Array {
  const der = decode(spki);
  const start = der.subarray(0, P256_SPKI_PREFIX.length);
  const isUncompressed =
    der.length === P256_SPKI_PREFIX.length + 2 * P256.coordinateSize && bytesEqual(start, P256_SPKI_PREFIX);
  if (!isUncompressed)
    throw new FloorKeyError('expected the SubjectPublicKeyInfo of an uncompressed P-256 key');
  requirePoint(der);
  return der;
}

/** As a TPM is given it to verify by: TPMT_PUBLIC. @param spki of {@link parseFloorKey} */
export function floorKeyPublicOf(spki: Uint8Array): Uint8Array {
  const point = spki.subarray(P256_SPKI_PREFIX.length);
  return encodeTpmtPublic({
    type: 'ecc',
    nameAlg: SHA256,
    attributes: EXTERNAL_ATTRIBUTES,
    authPolicy: EMPTY,
    scheme: { id: ALG.NULL },
    curve: P256,
    x: point.subarray(0, P256.coordinateSize),
    y: point.subarray(P256.coordinateSize),
  });
}

/** Its Name there (Part 1, section 16). @param spki of {@link parseFloorKey} */
export function floorKeyNameOf(spki: Uint8Array): Uint8Array {
  return computeName({ nameAlg: SHA256, raw: floorKeyPublicOf(spki) });
}

/** ECDSA with SHA-256. @param signature Ecdsa-Sig-Value in DER (RFC 3279, section 2.2.3) */
export function isSignedByFloorKey(
  spki: Uint8Array,
  { message, signature }: { message: Uint8Array; signature: Uint8Array },
): boolean {
  return verify('sha256', message, keyObjectOf(spki), signature);
}

function keyObjectOf(spki: Uint8Array) {
  return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
}

function decode(spki: string): Uint8Array {
  try {
    return fromBase64(spki);
  } catch (cause) {
    throw new FloorKeyError(messageOf(cause), { cause });
  }
}

/** OpenSSL takes no point that is not on the curve. */
function requirePoint(spki: Uint8Array): void {
  try {
    keyObjectOf(spki);
  } catch (cause) {
    throw new FloorKeyError('its point is not on the curve', { cause });
  }
}
