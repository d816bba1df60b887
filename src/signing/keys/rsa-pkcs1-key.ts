import type { KeyObject } from 'node:crypto';
import { sha256, toHex } from '../../core/bytes.ts';
import { CodedError } from '../../core/errors.ts';

export class RsaKeyError extends CodedError<'rsa-key-unsuitable'> {
  constructor(message: string) {
    super('rsa-key-unsuitable', message);
  }
}

const RSA_BITS: readonly unknown[] = [2048, 3072, 4096];

/** @throws {RsaKeyError} */
export function requireRsaPkcs1Key({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details,
}: KeyObject): void {
  if (type === 'rsa' && RSA_BITS.includes(details?.modulusLength) && details?.publicExponent === 65537n)
    return;
  throw new RsaKeyError('expected an RSA key of 2048, 3072 or 4096 bits with the exponent 65537');
}

/** SHA-256 of the SubjectPublicKeyInfo: these keys are in no TUF metadata, which would name them otherwise. */
export function rsaPkcs1KeyIdOf(publicKey: KeyObject): string {
  return toHex(sha256(publicKey.export({ type: 'spki', format: 'der' })));
}
