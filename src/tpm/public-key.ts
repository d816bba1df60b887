import { createPublicKey, type KeyObject, type webcrypto } from 'node:crypto';
import { toBase64Url } from '../core/bytes.ts';
import { TpmFormatError } from './errors.ts';
import type { TpmPublic } from './public-area.ts';

/** A plain rsaEncryption or named-curve key; OpenSSL checks here that an EC point is on its curve. */
export function toKeyObject(area: TpmPublic): KeyObject {
  try {
    return createPublicKey({ key: toJwk(area), format: 'jwk' });
  } catch (cause) {
    throw new TpmFormatError('invalid-value', 'TPMT_PUBLIC: not a usable public key', { cause });
  }
}

/** SubjectPublicKeyInfo, DER (RFC 5280, section 4.1.2.7). */
export function toSpki(area: TpmPublic): Uint8Array {
  return toKeyObject(area).export({ type: 'spki', format: 'der' });
}

/** Left-pads an unsigned big-endian integer: TPMs may strip leading zeros of coordinates and signatures. */
export function padInteger(bytes: Uint8Array, byteLength: number): Uint8Array {
  if (bytes.length === byteLength) return bytes;
  if (bytes.length > byteLength)
    throw new TpmFormatError('too-long', `integer of ${bytes.length} bytes, at most ${byteLength}`);
  const out = new Uint8Array(byteLength);
  out.set(bytes, byteLength - bytes.length);
  return out;
}

function toJwk(area: TpmPublic): webcrypto.JsonWebKey {
  if (area.type === 'rsa')
    return { kty: 'RSA', n: toBase64Url(area.modulus), e: toBase64Url(minimalInteger(area.exponent)) };
  const { name, coordinateSize } = area.curve;
  return {
    kty: 'EC',
    crv: name,
    x: toBase64Url(padInteger(area.x, coordinateSize)),
    y: toBase64Url(padInteger(area.y, coordinateSize)),
  };
}

function minimalInteger(value: number): Uint8Array {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
}
