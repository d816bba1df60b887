import { X509Certificate as NodeCertificate } from 'node:crypto';
import { bytesEqual, sha256, toHex, utf8Bytes } from '../../core/bytes.ts';
import { type NameConstraints, readNameConstraints } from './name-constraints.ts';
import {
  childrenOf,
  type DerElement,
  DerError,
  expectTag,
  readBits,
  readBoolean,
  readDer,
  readInteger,
  readOid,
  readSmallInteger,
  readTime,
  sequenceOf,
  TAG,
} from './x509-der.ts';
import { type DistinguishedName, type GeneralName, readGeneralNames, readName } from './x509-names.ts';

/**
 * The one door to X.509 in this room: OpenSSL (node:crypto) reads the certificate as a whole, gives keys and
 * checks signatures; names, times and extensions are read here as strict DER.
 * Nothing here decides.
 */
export interface Certificate {
  der: Uint8Array;
  /** For signatures; `publicKey` throws for key types that OpenSSL does not take. */
  node: NodeCertificate;
  /** One line, for people; real EK certificates have an empty one. */
  subject: string;
  issuer: string;
  subjectName: DistinguishedName;
  issuerName: DistinguishedName;
  /** Hex of the DER integer. */
  serial: string;
  notBeforeMs: number;
  notAfterMs: number;
  /** Hex SHA-256 over subject and key: certificates of one CA have it in common (RFC 5280: name and key). */
  authorityId: string;
  extensions: readonly Extension[];
  /** Absent extension: absent field. */
  basicConstraints?: { ca: boolean; pathLength?: number };
  keyUsage?: { keyEncipherment: boolean; keyAgreement: boolean; keyCertSign: boolean; crlSign: boolean };
  extendedKeyUsages?: readonly string[];
  nameConstraints?: NameConstraints;
  /** subjectAltName; empty when there is none. */
  alternativeNames: readonly GeneralName[];
}

export interface Extension {
  oid: string;
  critical: boolean;
  value: Uint8Array;
}

const VERSION = 0xa0;
const VERSION_3 = '02';
const EXTENSIONS = 0xa3;

/** @throws {DerError} when the bytes are not one certificate that OpenSSL and we can read */
export function parseCertificate(der: Uint8Array): Certificate {
  const node = readWithOpenssl(der);
  // OpenSSL also takes BER, and PEM in the middle of the bytes: what it read must be what we read.
  if (!bytesEqual(node.raw, der)) throw new DerError('OpenSSL reads another certificate in these bytes');
  const [tbs] = sequenceOf(der);
  const fields = childrenOf(expectTag(tbs, TAG.sequence));
  const [serial, , issuer, validity, subject, key] = fields[0]?.tag === VERSION ? fields.slice(1) : fields;
  const extensions = readExtensions(fields.find(({ tag }) => tag === EXTENSIONS));
  if (extensions.length > 0 && versionOf(fields[0]) !== VERSION_3)
    throw new DerError('extensions in a certificate that is not of version 3');
  return {
    der,
    node,
    subject: oneLine(node.subject),
    issuer: oneLine(node.issuer),
    subjectName: readName(subject),
    issuerName: readName(issuer),
    serial: readInteger(serial),
    ...readValidity(validity),
    authorityId: authorityIdOf(expectTag(subject, TAG.sequence), expectTag(key, TAG.sequence)),
    extensions,
    ...readKnownExtensions(extensions),
  };
}

/** The wording of OpenSSL's last failure is about PEM, which it tries too. */
function readWithOpenssl(der: Uint8Array): NodeCertificate {
  try {
    return new NodeCertificate(der);
  } catch (cause) {
    throw new DerError('OpenSSL reads no certificate in these bytes', { cause });
  }
}

/** Not from `node`: what it answers for a time that cannot be read is whatever memory held. */
function readValidity(element: DerElement | undefined): { notBeforeMs: number; notAfterMs: number } {
  const [notBefore, notAfter] = childrenOf(expectTag(element, TAG.sequence));
  return { notBeforeMs: readTime(notBefore), notAfterMs: readTime(notAfter) };
}

function versionOf(field: DerElement | undefined): string | undefined {
  return field?.tag === VERSION ? readInteger(readDer(field.content, TAG.integer)) : undefined;
}

/** RFC 5280, section 4.1.2.9; also those of a CRL and of its entries. */
export function readExtensions(explicit: DerElement | undefined): Extension[] {
  if (explicit === undefined) return [];
  return sequenceOf(explicit.content).map((extension) => {
    const [oid, ...rest] = childrenOf(expectTag(extension, TAG.sequence));
    const [critical, value, ...more] = rest.length === 1 ? [undefined, ...rest] : rest;
    if (more.length > 0) throw new DerError('more than an extension has');
    return {
      oid: readOid(oid),
      critical: critical !== undefined && readBoolean(critical),
      value: expectTag(value, TAG.octetString).content,
    };
  });
}

function authorityIdOf(subject: DerElement, key: DerElement): string {
  return toHex(sha256(utf8Bytes(JSON.stringify(readName(subject).canonical)), key.whole));
}

/** Node gives one attribute a line, and no string at all for an empty name. */
function oneLine(distinguishedName: string | undefined): string {
  return distinguishedName?.replaceAll('\n', ', ') ?? '(no name)';
}

function readKnownExtensions(
  extensions: readonly Extension[],
): Pick<
  Certificate,
  'basicConstraints' | 'keyUsage' | 'extendedKeyUsages' | 'nameConstraints' | 'alternativeNames'
> {
  const valueAt = (oid: string) => extensions.find((extension) => extension.oid === oid)?.value;
  const [basic, usage] = [valueAt('2.5.29.19'), valueAt('2.5.29.15')];
  const [purposes, constraints] = [valueAt('2.5.29.37'), valueAt('2.5.29.30')];
  const alternatives = valueAt('2.5.29.17');
  return {
    ...(basic !== undefined && { basicConstraints: readBasicConstraints(basic) }),
    ...(usage !== undefined && { keyUsage: readKeyUsage(usage) }),
    ...(purposes !== undefined && { extendedKeyUsages: sequenceOf(purposes).map(readOid) }),
    ...(constraints !== undefined && { nameConstraints: readNameConstraints(constraints) }),
    alternativeNames: alternatives === undefined ? [] : readGeneralNames(alternatives),
  };
}

/** Section 4.2.1.9. */
function readBasicConstraints(der: Uint8Array): { ca: boolean; pathLength?: number } {
  const fields = childrenOf(readDer(der, TAG.sequence));
  const ca = fields[0]?.tag === TAG.boolean && readBoolean(fields[0]);
  const [pathLength, ...more] = fields[0]?.tag === TAG.boolean ? fields.slice(1) : fields;
  if (more.length > 0) throw new DerError('more than basic constraints have');
  return { ca, ...(pathLength !== undefined && { pathLength: readSmallInteger(pathLength) }) };
}

/** Section 4.2.1.3. */
function readKeyUsage(der: Uint8Array): NonNullable<Certificate['keyUsage']> {
  const bits = readBits(der);
  return {
    keyEncipherment: bits.has(2),
    keyAgreement: bits.has(4),
    keyCertSign: bits.has(5),
    crlSign: bits.has(6),
  };
}
