import { CodedError, messageOf } from '../../core/errors.ts';
import { isSignedBy, parseRevocationList, type UnverifiedRevocationList } from '../x509/crl.ts';
import { type Certificate, parseCertificate } from '../x509/x509.ts';
import { isSameName } from '../x509/x509-names.ts';
import { splitPem } from '../x509/x509-pem.ts';

export class TrustAnchorError extends CodedError<'trust-anchors-invalid'> {}

/** Manufacturer certificates: every path ends at a self-signed root; the others only help to get there. */
export interface TrustAnchors {
  roots: readonly Certificate[];
  intermediates: readonly Certificate[];
  revocationLists: readonly RevocationList[];
}

/** A CRL that one of the CAs beside it has signed. */
export type RevocationList = Omit<UnverifiedRevocationList, 'signed' | 'signature'> & {
  signer: Certificate;
  /** `Certificate.authorityId` of the CA that signed it, and of the same CA under its older and newer keys. */
  authorityIds: readonly string[];
};

export const NO_TRUST_ANCHORS: TrustAnchors = { roots: [], intermediates: [], revocationLists: [] };

/**
 * Reads one DER certificate or any number of PEM ones with text in between. What cannot be read is an
 * error and not skipped: a typing mistake must not silently shorten the list.
 *
 * @throws {TrustAnchorError}
 */
export function parseTrustAnchors(bundle: Uint8Array): TrustAnchors {
  return mergeTrustAnchors(split(bundle, 'CERTIFICATE').map(readCa));
}

export function mergeTrustAnchors(all: readonly TrustAnchors[]): TrustAnchors {
  const unique = (certificates: readonly Certificate[]) => [
    ...new Map(certificates.map((ca) => [ca.node.fingerprint256, ca])).values(),
  ];
  return {
    roots: unique(all.flatMap(({ roots }) => roots)),
    intermediates: unique(all.flatMap(({ intermediates }) => intermediates)),
    revocationLists: all.flatMap(({ revocationLists }) => revocationLists),
  };
}

/**
 * Adds CRLs, one in DER or any number in PEM. Each must be signed, with the key and in the name of a CA that
 * is there and may sign CRLs: a list that nobody vouches for would only look like protection.
 *
 * @throws {TrustAnchorError}
 */
export function addRevocationLists(anchors: TrustAnchors, bundle: Uint8Array): TrustAnchors {
  const added = split(bundle, 'X509 CRL').map((der, index) => readRevocationList(anchors, der, index));
  return { ...anchors, revocationLists: [...anchors.revocationLists, ...added] };
}

function split(bundle: Uint8Array, label: string): Uint8Array[] {
  try {
    return splitPem(bundle, label);
  } catch (cause) {
    throw new TrustAnchorError('trust-anchors-invalid', messageOf(cause), { cause });
  }
}

function readCa(der: Uint8Array, index: number): TrustAnchors {
  try {
    const certificate = parseCertificate(der);
    if (certificate.basicConstraints?.ca !== true)
      throw new Error(`${certificate.subject} is no CA certificate`);
    const pool = isSelfSigned(certificate) ? 'roots' : 'intermediates';
    return { ...NO_TRUST_ANCHORS, [pool]: [certificate] };
  } catch (cause) {
    throw new TrustAnchorError('trust-anchors-invalid', `certificate ${index + 1}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function readRevocationList(anchors: TrustAnchors, der: Uint8Array, index: number): RevocationList {
  try {
    const { signed, signature, ...list } = parseRevocationList(der);
    const namesakes = [...anchors.roots, ...anchors.intermediates].filter(({ subjectName }) =>
      isSameName(subjectName, list.issuerName),
    );
    const signer = namesakes
      .filter(({ keyUsage }) => keyUsage?.crlSign !== false)
      .find(({ subject, node }) => isSignedBy({ ...list, signed, signature }, subject, node.publicKey));
    if (signer === undefined) throw new Error('signed by none of the CAs that are there and may sign CRLs');
    const same = namesakes.filter((ca) => isRenewalOf(ca, signer) || isRenewalOf(signer, ca));
    return { ...list, signer, authorityIds: [signer, ...same].map(({ authorityId }) => authorityId) };
  } catch (cause) {
    throw new TrustAnchorError('trust-anchors-invalid', `CRL ${index + 1}: ${messageOf(cause)}`, { cause });
  }
}

/** RFC 5280, section 3.2: a CA that changes its key certifies the one with the other, under its own name. */
function isRenewalOf(one: Certificate, other: Certificate): boolean {
  return isSameName(one.subjectName, one.issuerName) && one.node.verify(other.node.publicKey);
}

function isSelfSigned({ node, subjectName, issuerName }: Certificate): boolean {
  return isSameName(subjectName, issuerName) && node.verify(node.publicKey);
}
