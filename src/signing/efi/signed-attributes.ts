import { Attribute } from '@peculiar/asn1-cms';
import {
  AsnArray,
  AsnConvert,
  AsnObjectIdentifierConverter,
  AsnType,
  AsnTypeTypes,
  OctetString,
} from '@peculiar/asn1-schema';
import { Time } from '@peculiar/asn1-x509';
import { bytesEqual, sha256 } from '../../core/bytes.ts';
import { EfiError } from './efi-error.ts';
import { contentOctets, SPC_INDIRECT_DATA } from './indirect-data.ts';

const CONTENT_TYPE = '1.2.840.113549.1.9.3';
const MESSAGE_DIGEST = '1.2.840.113549.1.9.4';
const SIGNING_TIME = '1.2.840.113549.1.9.5';
/** SpcStatementType: a sequence of identifiers. */
const STATEMENT_TYPE = '1.3.6.1.4.1.311.2.1.11';
/** The sequence of 1.3.6.1.4.1.311.2.1.21, "individual code signing". */
const INDIVIDUAL_CODE_SIGNING = Buffer.from('300c060a2b060104018237020115', 'hex');

class AttributeSet extends AsnArray<Attribute> {}
AsnType({ type: AsnTypeTypes.Set, itemType: Attribute })(AttributeSet);

/** What Authenticode signs with a content, in the order of DER. */
export function signedAttributesFor(indirectData: ArrayBuffer, epochSeconds: number): Attribute[] {
  return inSetOrder([
    attribute(CONTENT_TYPE, contentType()),
    attribute(SIGNING_TIME, AsnConvert.serialize(new Time(new Date(epochSeconds * 1000)))),
    attribute(STATEMENT_TYPE, Uint8Array.from(INDIVIDUAL_CODE_SIGNING).buffer),
    attribute(MESSAGE_DIGEST, messageDigest(indirectData)),
  ]);
}

/** RFC 5652 section 5.4: the attributes are signed as a set, not under the tag that they travel with. */
export function encodeForSigning(attributes: readonly Attribute[]): Uint8Array {
  return new Uint8Array(AsnConvert.serialize(new AttributeSet(inSetOrder(attributes))));
}

/** RFC 5652 section 5.6: the attributes name this content and its type; others may be there. */
export function verifyAttributes(attributes: readonly Attribute[], indirectData: ArrayBuffer): void {
  const matches =
    sameBytes(onlyValue(attributes, CONTENT_TYPE), contentType()) &&
    sameBytes(onlyValue(attributes, MESSAGE_DIGEST), messageDigest(indirectData));
  if (!matches)
    throw new EfiError('efi-signature-invalid', 'the signed attributes are not about the signed content');
}

export function signingTimeOf(attributes: readonly Attribute[]): Date {
  return AsnConvert.parse(onlyValue(attributes, SIGNING_TIME), Time).getTime();
}

function attribute(attrType: string, value: ArrayBuffer): Attribute {
  return new Attribute({ attrType, attrValues: [value] });
}

function contentType(): ArrayBuffer {
  return AsnObjectIdentifierConverter.toASN(SPC_INDIRECT_DATA).toBER();
}

function messageDigest(indirectData: ArrayBuffer): ArrayBuffer {
  return AsnConvert.serialize(new OctetString(sha256(contentOctets(indirectData))));
}

/** X.690 section 11.6: in DER the members of a set are in the order of their encodings. */
function inSetOrder(attributes: readonly Attribute[]): Attribute[] {
  const encode = (member: Attribute) => new Uint8Array(AsnConvert.serialize(member));
  return [...attributes].sort((a, b) => Buffer.compare(encode(a), encode(b)));
}

function onlyValue(attributes: readonly Attribute[], type: string): ArrayBuffer {
  const [found, ...more] = attributes.filter(({ attrType }) => attrType === type);
  const value = found?.attrValues.length === 1 && more.length === 0 ? found.attrValues[0] : undefined;
  if (value === undefined)
    throw new EfiError('efi-signature-invalid', `the signature has not exactly one attribute ${type}`);
  return value;
}

function sameBytes(a: ArrayBuffer, b: ArrayBuffer): boolean {
  return bytesEqual(new Uint8Array(a), new Uint8Array(b));
}
