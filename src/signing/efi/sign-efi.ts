import type { X509Certificate } from 'node:crypto';
import { bytesEqual } from '../../core/bytes.ts';
import type { RsaPkcs1Signer } from '../keys/rsa-pkcs1-signer.ts';
import { authenticodeSha256 } from './authenticode.ts';
import {
  type ClaimedSignature,
  claimsToBeBy,
  createSignature,
  parseSignature,
  verifySignature,
} from './authenticode-signature.ts';
import { readSignatures, writeSignatures } from './certificate-table.ts';
import { EfiError } from './efi-error.ts';
import { parsePe } from './pe.ts';

export interface SignEfiRequest {
  image: Uint8Array;
  /** Its key may be anywhere; it is asked for one signature. */
  signer: RsaPkcs1Signer;
  /** The certificate of that key, as enrolled in db. */
  certificate: X509Certificate;
  /**
   * The signing time in the signature, so that the same input gives the same bytes. It must lie within the
   * certificate's validity: firmware does not look, but Linux refuses to kexec such a kernel (PKCS#7
   * verification in crypto/asymmetric_keys/pkcs7_verify.c answers EKEYREJECTED).
   */
  epochSeconds: number;
  /**
   * What becomes of signatures by others. `replace`, the default: they go. `keep`: they stay in front, and
   * each must be about this image; Linux kexecs no image with more than one signature (crypto/
   * asymmetric_keys/verify_pefile.c reads one). Our own earlier one is replaced either way.
   */
  others?: 'replace' | 'keep';
}

export interface VerifiedEfi {
  signedAt: Date;
  signatures: number;
}

const MIN_RSA_BITS = 2048;
const MAX_RSA_BITS = 4096;

/**
 * The image with a Secure Boot signature (Authenticode, PKCS#7, SHA-256, RSA PKCS#1 v1.5), byte for byte
 * what osslsigncode 2.9 writes. It was verified before it is returned.
 */
export async function signEfi(request: SignEfiRequest): Promise<Uint8Array> {
  const { image, signer, certificate, epochSeconds } = request;
  requireKeyOf(certificate, signer);
  requireTimeWithinValidity(certificate, epochSeconds);
  const imageDigest = authenticodeSha256(image);
  const kept = request.others === 'keep' ? signaturesByOthers(image, certificate) : [];
  const signature = await createSignature({ imageDigest, certificate, epochSeconds, signer });
  const signed = writeSignatures(image, [...kept, signature]);
  verifyEfi(signed, certificate);
  if (!bytesEqual(authenticodeSha256(signed), imageDigest))
    throw new EfiError('efi-signing-failed', 'signing changed the image');
  return signed;
}

/**
 * Every signature of the image is about this image, and at least one is by the certificate's key; all that
 * claim to be verify, with a time within its validity.
 */
export function verifyEfi(image: Uint8Array, certificate: X509Certificate): VerifiedEfi {
  const signatures = claimedSignatures(image);
  const ours = signatures.filter((claimed) => claimsToBeBy(claimed, certificate));
  const [signedAt] = ours.map((claimed) => verifySignature(claimed, certificate));
  if (signedAt === undefined)
    throw new EfiError('efi-signature-invalid', 'the image has no signature by this certificate');
  requireTimeWithinValidity(certificate, signedAt.getTime() / 1000);
  return { signedAt, signatures: signatures.length };
}

function claimedSignatures(image: Uint8Array): ClaimedSignature[] {
  const imageDigest = authenticodeSha256(image);
  return readSignatures(parsePe(image)).map((der) => {
    const claimed = parseSignature(der);
    if (!bytesEqual(claimed.imageDigest, imageDigest))
      throw new EfiError('efi-signature-other-image', 'the image has a signature that was made for another');
    return claimed;
  });
}

function signaturesByOthers(image: Uint8Array, certificate: X509Certificate): Uint8Array[] {
  claimedSignatures(image);
  return readSignatures(parsePe(image)).filter((der) => !claimsToBeBy(parseSignature(der), certificate));
}

function requireKeyOf(certificate: X509Certificate, { publicKey }: RsaPkcs1Signer): void {
  const bits = publicKey.asymmetricKeyDetails?.modulusLength ?? 0;
  if (publicKey.asymmetricKeyType !== 'rsa' || bits < MIN_RSA_BITS || bits > MAX_RSA_BITS)
    throw new EfiError('efi-signing-failed', 'firmware wants an RSA key of 2048 to 4096 bits');
  if (!publicKey.equals(certificate.publicKey))
    throw new EfiError('efi-signing-failed', "the certificate is not the key's");
}

function requireTimeWithinValidity(certificate: X509Certificate, epochSeconds: number): void {
  const { validFromDate, validToDate } = certificate;
  const time = new Date(epochSeconds * 1000);
  if (time >= validFromDate && time <= validToDate) return;
  const validity = `${validFromDate.toISOString()} to ${validToDate.toISOString()}`;
  throw new EfiError(
    'efi-signing-failed',
    `the signing time ${epochSeconds} is not within the certificate's validity, ${validity}`,
  );
}
