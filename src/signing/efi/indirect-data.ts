import { AsnConvert, AsnProp, AsnPropTypes, OctetString } from '@peculiar/asn1-schema';
import { AlgorithmIdentifier } from '@peculiar/asn1-x509';

// Windows Authenticode Portable Executable Signature Format, "SpcIndirectDataContent" and what is in it.
// The schema is declared by calls: decorators are no erasable syntax.

export const SPC_INDIRECT_DATA = '1.3.6.1.4.1.311.2.1.4';
const SPC_PE_IMAGE_DATA = '1.3.6.1.4.1.311.2.1.15';
export const SHA256 = '2.16.840.1.101.3.4.2.1';
const DER_NULL = Uint8Array.of(5, 0).buffer;

/**
 * SpcPeImageData with the flags and the file link that every signing tool writes and nobody reads: no
 * page hashes, and the string `<<<Obsolete>>>` in UTF-16.
 */
const PE_IMAGE_DATA = Buffer.from(
  '3026030207 80a020a21e801c 003c003c003c004f00620073006f006c006500740065003e003e003e'.replaceAll(' ', ''),
  'hex',
);

class SpcAttributeTypeAndOptionalValue {
  type = SPC_PE_IMAGE_DATA;
  value: ArrayBuffer = new Uint8Array(PE_IMAGE_DATA).buffer;
}
AsnProp({ type: AsnPropTypes.ObjectIdentifier })(SpcAttributeTypeAndOptionalValue.prototype, 'type');
AsnProp({ type: AsnPropTypes.Any })(SpcAttributeTypeAndOptionalValue.prototype, 'value');

class DigestInfo {
  digestAlgorithm = sha256Algorithm();
  digest = new OctetString();
}
AsnProp({ type: AlgorithmIdentifier })(DigestInfo.prototype, 'digestAlgorithm');
AsnProp({ type: OctetString })(DigestInfo.prototype, 'digest');

class SpcIndirectDataContent {
  data = new SpcAttributeTypeAndOptionalValue();
  messageDigest = new DigestInfo();
}
AsnProp({ type: SpcAttributeTypeAndOptionalValue })(SpcIndirectDataContent.prototype, 'data');
AsnProp({ type: DigestInfo })(SpcIndirectDataContent.prototype, 'messageDigest');

export function sha256Algorithm(): AlgorithmIdentifier {
  return new AlgorithmIdentifier({ algorithm: SHA256, parameters: DER_NULL });
}

/** The DER of what a signature is about: this image digest, by SHA-256. */
export function encodeIndirectData(imageDigest: Uint8Array): ArrayBuffer {
  const content = new SpcIndirectDataContent();
  content.messageDigest.digest = new OctetString(imageDigest);
  return AsnConvert.serialize(content);
}

/** The image digest that a signature is about; undefined when it is not one by SHA-256 of a PE image. */
export function imageDigestOf(indirectData: ArrayBuffer): Uint8Array | undefined {
  const { data, messageDigest } = AsnConvert.parse(indirectData, SpcIndirectDataContent);
  const isOurs = data.type === SPC_PE_IMAGE_DATA && messageDigest.digestAlgorithm.algorithm === SHA256;
  return isOurs ? new Uint8Array(messageDigest.digest.buffer) : undefined;
}

/** What a signature's messageDigest covers: the sequence's content, without its tag and length. */
export function contentOctets(der: ArrayBuffer): Uint8Array {
  const bytes = new Uint8Array(der);
  const form = bytes[1] ?? 0;
  return bytes.subarray(form < 0x80 ? 2 : 2 + (form & 0x7f));
}
