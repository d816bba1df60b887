import { constants, verify, type X509Certificate } from 'node:crypto';
import * as cms from '@peculiar/asn1-cms';
import { AsnConvert, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier, Certificate } from '@peculiar/asn1-x509';
import { bytesEqual } from '../../core/bytes.ts';
import type { RsaPkcs1Signer } from '../keys/rsa-pkcs1-signer.ts';
import { EfiError } from './efi-error.ts';
import { encodeIndirectData, imageDigestOf, SPC_INDIRECT_DATA, sha256Algorithm } from './indirect-data.ts';
import {
  encodeForSigning,
  signedAttributesFor,
  signingTimeOf,
  verifyAttributes,
} from './signed-attributes.ts';

// The PKCS#7 SignedData of Authenticode: RFC 2315, whose content is not wrapped in an octet string, told in the
// types of RFC 5652.

const RSA_ENCRYPTION = '1.2.840.113549.1.1.1';
const DER_NULL = Uint8Array.of(5, 0).buffer;

/** A signature as read: nothing about it is verified. */
export interface ClaimedSignature {
  readonly der: Uint8Array;
  /** Authenticode SHA-256 of the image that it is about. */
  readonly imageDigest: Uint8Array;
  readonly indirectData: ArrayBuffer;
  readonly signer: cms.SignerInfo;
}

/** Asks the signer once, for the signed attributes. The same input gives the same bytes. */
export async function createSignature(input: {
  imageDigest: Uint8Array;
  certificate: X509Certificate;
  epochSeconds: number;
  signer: RsaPkcs1Signer;
}): Promise<Uint8Array> {
  const { certificate } = input;
  const { indirectData, signedAttrs } = contentFor(input);
  const signature = await input.signer.sign(signedBytesFor(input));
  return encodeSignature({ indirectData, signedAttrs, signature, certificate });
}

/** What the key signs: nothing but image and time. */
export function signedBytesFor(input: { imageDigest: Uint8Array; epochSeconds: number }): Uint8Array {
  return encodeForSigning(contentFor(input).signedAttrs);
}

function contentFor({ imageDigest, epochSeconds }: { imageDigest: Uint8Array; epochSeconds: number }) {
  const indirectData = encodeIndirectData(imageDigest);
  return { indirectData, signedAttrs: signedAttributesFor(indirectData, epochSeconds) };
}

/** Nothing about it is verified. */
export function parseSignature(der: Uint8Array): ClaimedSignature {
  return translatingFaults(() => readSignature(der));
}

/** By name and number, as the signature says: whether it is true, {@link verifySignature} finds out. */
export function claimsToBeBy({ signer }: ClaimedSignature, certificate: X509Certificate): boolean {
  const claimed = signer.sid.issuerAndSerialNumber;
  if (claimed === undefined) return false;
  const expected = AsnConvert.serialize(nameOf(parseCertificate(certificate)));
  return bytesEqual(new Uint8Array(AsnConvert.serialize(claimed)), new Uint8Array(expected));
}

/**
 * RFC 5652 section 5.6, by the certificate's key and no other. The signature must have the one form that
 * {@link createSignature} gives it, to the byte: no other certificates, no unsigned attributes.
 *
 * @returns the signing time, which is the signer's word
 */
export function verifySignature(claimed: ClaimedSignature, certificate: X509Certificate): Date {
  return translatingFaults(() => {
    const { der, signer, indirectData } = claimed;
    const signedAttrs = signer.signedAttrs ?? [];
    const signature = new Uint8Array(signer.signature.buffer);
    verifyAttributes(signedAttrs, indirectData);
    if (certificate.publicKey.asymmetricKeyType !== 'rsa') invalid('the certificate is not for an RSA key');
    const key = { key: certificate.publicKey, padding: constants.RSA_PKCS1_PADDING };
    if (!verify('sha256', encodeForSigning(signedAttrs), key, signature))
      invalid("it does not verify with the certificate's key");
    if (!bytesEqual(encodeSignature({ indirectData, signedAttrs, signature, certificate }), der))
      invalid('it is not encoded as Authenticode with SHA-256 and RSA is, or carries more');
    return signingTimeOf(signedAttrs);
  });
}

function readSignature(der: Uint8Array): ClaimedSignature {
  const { contentType, content } = AsnConvert.parse(der, cms.ContentInfo);
  if (contentType !== cms.id_signedData) invalid('it is no PKCS#7 SignedData');
  const { encapContentInfo, signerInfos } = AsnConvert.parse(content, cms.SignedData);
  const indirectData = encapContentInfo.eContent?.any;
  if (encapContentInfo.eContentType !== SPC_INDIRECT_DATA || indirectData === undefined)
    return invalid('its content is no SpcIndirectDataContent');
  const imageDigest = imageDigestOf(indirectData);
  if (imageDigest?.length !== 32) return invalid('it is not about the SHA-256 of a PE image');
  const [signer, ...more] = signerInfos;
  if (signer === undefined || more.length > 0)
    return invalid(`it has ${signerInfos.length} signers, not one`);
  return { der, imageDigest, indirectData, signer };
}

function encodeSignature(parts: {
  indirectData: ArrayBuffer;
  signedAttrs: cms.Attribute[];
  signature: Uint8Array;
  certificate: X509Certificate;
}): Uint8Array {
  const { indirectData, signedAttrs, signature } = parts;
  const certificate = parseCertificate(parts.certificate);
  const signer = new cms.SignerInfo({
    version: cms.CMSVersion.v1,
    sid: new cms.SignerIdentifier({ issuerAndSerialNumber: nameOf(certificate) }),
    digestAlgorithm: sha256Algorithm(),
    signedAttrs,
    signatureAlgorithm: new AlgorithmIdentifier({ algorithm: RSA_ENCRYPTION, parameters: DER_NULL }),
    signature: new OctetString(signature),
  });
  const signedData = new cms.SignedData({
    version: cms.CMSVersion.v1,
    digestAlgorithms: new cms.DigestAlgorithmIdentifiers([sha256Algorithm()]),
    encapContentInfo: new cms.EncapsulatedContentInfo({
      eContentType: SPC_INDIRECT_DATA,
      eContent: new cms.EncapsulatedContent({ any: indirectData }),
    }),
    certificates: new cms.CertificateSet([new cms.CertificateChoices({ certificate })]),
    signerInfos: new cms.SignerInfos([signer]),
  });
  const content = AsnConvert.serialize(signedData);
  return new Uint8Array(
    AsnConvert.serialize(new cms.ContentInfo({ contentType: cms.id_signedData, content })),
  );
}

/** A certificate that would change by being read and written again would no longer be the enrolled one. */
function parseCertificate({ raw }: X509Certificate): Certificate {
  const certificate = AsnConvert.parse(raw, Certificate);
  if (!bytesEqual(new Uint8Array(AsnConvert.serialize(certificate)), raw))
    throw new EfiError('efi-signing-failed', 'the certificate is not in DER throughout: make it again');
  return certificate;
}

function nameOf({ tbsCertificate: { issuer, serialNumber } }: Certificate): cms.IssuerAndSerialNumber {
  return new cms.IssuerAndSerialNumber({ issuer, serialNumber });
}

/** The library reads some members only when they are asked for, and throws errors of any kind. */
function translatingFaults<T>(read: () => T): T {
  try {
    return read();
  } catch (cause) {
    if (cause instanceof EfiError) throw cause;
    throw new EfiError('efi-signature-invalid', 'the signature is not the DER of a PKCS#7 SignedData', {
      cause,
    });
  }
}

function invalid(why: string): never {
  throw new EfiError('efi-signature-invalid', `the Secure Boot signature is refused: ${why}`);
}
