import { type KeyObject, verify } from 'node:crypto';
import { bytesEqual } from '../../core/bytes.ts';
import { strongHashOf, verifyIssuerKey } from '../endorsement/ek-signature-strength.ts';
import { type Extension, readExtensions } from './x509.ts';
import {
  childrenOf,
  type DerElement,
  DerError,
  expectTag,
  readDer,
  readInteger,
  readOid,
  readSmallInteger,
  readTime,
  sequenceOf,
  TAG,
} from './x509-der.ts';
import { type DistinguishedName, readName } from './x509-names.ts';

/** CertificateList (RFC 5280, section 5.1), its signature not checked yet. */
export interface UnverifiedRevocationList {
  der: Uint8Array;
  issuerName: DistinguishedName;
  thisUpdateMs: number;
  /** Without one a list is never current. */
  nextUpdateMs: number;
  /** Serial numbers as hex of the DER integer. */
  revoked: ReadonlySet<string>;
  /** False when it covers only some certificates or reasons, or says what we don't understand. */
  isComplete: boolean;
  signed: Uint8Array;
  signatureAlgorithmOid: string;
  signature: Uint8Array;
}

const EXTENSIONS = 0xa0;
const CRL_REASON = '2.5.29.21';
const ISSUING_DISTRIBUTION_POINT = '2.5.29.28';
const CERTIFICATE_ISSUER = '2.5.29.29';
const INDIRECT_CRL = 0x84;
const REMOVE_FROM_CRL = 8;

/** @throws {DerError} also for indirect CRLs: they list certificates of other CAs, and we don't read them */
export function parseRevocationList(der: Uint8Array): UnverifiedRevocationList {
  const [signed, algorithm, signature, ...more] = sequenceOf(der);
  if (more.length > 0) throw new DerError('more than a CertificateList has');
  const tbs = expectTag(signed, TAG.sequence);
  const fields = childrenOf(tbs);
  const [inner, issuer, thisUpdate, ...rest] = fields[0]?.tag === TAG.integer ? fields.slice(1) : fields;
  const outer = expectTag(algorithm, TAG.sequence);
  if (!bytesEqual(expectTag(inner, TAG.sequence).whole, outer.whole))
    throw new DerError('two different signature algorithms');
  const entries = entriesOf(rest).map(readEntry);
  const extensions = readExtensions(rest.find(({ tag }) => tag === EXTENSIONS));
  refuseIndirect(extensions, entries);
  return {
    der,
    issuerName: readName(issuer),
    thisUpdateMs: readTime(thisUpdate),
    nextUpdateMs: isTime(rest[0]) ? readTime(rest[0]) : Number.NEGATIVE_INFINITY,
    revoked: new Set(entries.filter(({ isRemoval }) => !isRemoval).map(({ serial }) => serial)),
    isComplete: [...extensions, ...entries.flatMap((entry) => entry.extensions)].every(
      ({ oid, critical }) => !critical && oid !== ISSUING_DISTRIBUTION_POINT,
    ),
    signed: tbs.whole,
    signatureAlgorithmOid: readOid(childrenOf(outer)[0]),
    signature: readSignature(signature),
  };
}

/** Is it signed with this key? @throws {Refusal} when algorithm or key are too weak to say */
export function isSignedBy(list: UnverifiedRevocationList, owner: string, key: KeyObject): boolean {
  const hash = strongHashOf(`CRL of ${owner}`, list.signatureAlgorithmOid);
  if (!verify(hash, list.signed, key, list.signature)) return false;
  verifyIssuerKey(owner, key);
  return true;
}

interface Entry {
  serial: string;
  extensions: readonly Extension[];
  /** Only delta CRLs: a hold was lifted. */
  isRemoval: boolean;
}

/** After thisUpdate: nextUpdate, the entries, the extensions, each of them optional. */
function entriesOf(rest: readonly DerElement[]): DerElement[] {
  const behind = isTime(rest[0]) ? rest.slice(1) : rest;
  const entries = behind[0]?.tag === TAG.sequence ? behind[0] : undefined;
  const extensions = entries === undefined ? behind : behind.slice(1);
  if (extensions.length > 1 || extensions.some(({ tag }) => tag !== EXTENSIONS))
    throw new DerError('more than a CRL has');
  return entries === undefined ? [] : childrenOf(entries);
}

function readEntry(element: DerElement): Entry {
  const [serial, date, list, ...more] = childrenOf(expectTag(element, TAG.sequence));
  if (more.length > 0) throw new DerError('more than a CRL entry has');
  readTime(date);
  const extensions = list === undefined ? [] : readExtensions({ ...list, content: list.whole });
  const reason = extensions.find(({ oid }) => oid === CRL_REASON)?.value;
  const isRemoval = reason !== undefined && readReason(reason) === REMOVE_FROM_CRL;
  return { serial: readInteger(serial), extensions, isRemoval };
}

function readReason(der: Uint8Array): number {
  const { content, whole } = readDer(der, TAG.enumerated);
  return readSmallInteger({ tag: TAG.integer, content, whole });
}

function refuseIndirect(extensions: readonly Extension[], entries: readonly Entry[]): void {
  const scope = extensions.find(({ oid }) => oid === ISSUING_DISTRIBUTION_POINT);
  const isIndirect =
    (scope !== undefined && sequenceOf(scope.value).some(({ tag }) => tag === INDIRECT_CRL)) ||
    entries.some((entry) => entry.extensions.some(({ oid }) => oid === CERTIFICATE_ISSUER));
  if (isIndirect) throw new DerError('an indirect CRL, which we do not read');
}

function isTime(element: DerElement | undefined): boolean {
  return element?.tag === TAG.utcTime || element?.tag === TAG.generalizedTime;
}

function readSignature(element: DerElement | undefined): Uint8Array {
  const { content } = expectTag(element, TAG.bitString);
  if (content[0] !== 0) throw new DerError('a signature of broken octets');
  return content.subarray(1);
}
