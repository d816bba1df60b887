import { sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { Certificate } from '../x509/x509.ts';
import { findPath } from './ek-path.ts';
import { verifyIssuerKey } from './ek-signature-strength.ts';
import { findPin, type PinnedRoot } from './trust-anchor-pins.ts';
import type { RevocationList, TrustAnchors } from './trust-anchors.ts';

/** What an operator sees of one certificate or CRL. */
export interface TrustAnchorDescription {
  /** Hex, of its DER. */
  sha256: string;
  role: 'root' | 'intermediate' | 'crl';
  /**
   * Of a root: `known`, that very certificate is pinned; `different`, the name of a pinned root on another
   * certificate, renewed or forged; `unknown`, neither. Of another CA: that of the root it leads to, or
   * `unanchored` when it leads to none, and so certifies nothing. Of a CRL: that of the CA that signed it.
   */
  status: AnchorStatus | 'unanchored';
  /** Of the pin with that certificate or that name. */
  vendor?: string;
  subject: string;
  issuer: string;
  /** `notAfter` or `nextUpdate`; a CRL may have none. */
  endsAtMs?: number;
  /** Sentences: what limits its use. */
  notes: readonly string[];
}

type AnchorStatus = 'known' | 'different' | 'unknown';
type Standing = Pick<TrustAnchorDescription, 'status' | 'vendor'> & { notes: readonly string[] };

/** Everything in `anchors`: roots, then other CAs, then CRLs, each group in its order. */
export function describeTrustAnchors(
  anchors: TrustAnchors,
  pins: readonly PinnedRoot[],
  nowMs: number,
): TrustAnchorDescription[] {
  const standingOf = (ca: Certificate) =>
    anchors.roots.includes(ca) ? standingOfRoot(ca, pins) : standingOfCa(ca, { anchors, pins, nowMs });
  return [
    ...anchors.roots.map((ca) => describeCa(ca, 'root', standingOf(ca), nowMs)),
    ...anchors.intermediates.map((ca) => describeCa(ca, 'intermediate', standingOf(ca), nowMs)),
    ...anchors.revocationLists.map((list) => describeList(list, standingOf(list.signer), nowMs)),
  ];
}

function standingOfRoot(root: Certificate, pins: readonly PinnedRoot[]): Standing {
  const pin = findPin(root, pins);
  if (pin === undefined) return { status: 'unknown', notes: [] };
  const { vendor } = pin;
  if (pin.isExact) return { status: 'known', vendor, notes: [] };
  const known = `the known one of this name is ${pin.sha256}, published at ${pin.publishedAt}`;
  return { status: 'different', vendor, notes: [known] };
}

/** Expired CAs still show where they belong; that they have expired is a note of their own. */
function standingOfCa(
  ca: Certificate,
  on: { anchors: TrustAnchors; pins: readonly PinnedRoot[]; nowMs: number },
): Standing {
  try {
    return standingOfRoot(findPath(ca, { ...on, acceptExpiredIssuers: true }).root, on.pins);
  } catch (cause) {
    return { status: 'unanchored', notes: [`leads to no root here: ${messageOf(cause)}`] };
  }
}

function describeCa(
  ca: Certificate,
  role: 'root' | 'intermediate',
  { notes, ...standing }: Standing,
  nowMs: number,
): TrustAnchorDescription {
  return {
    sha256: toHex(sha256(ca.der)),
    role,
    ...standing,
    subject: ca.subject,
    issuer: ca.issuer,
    endsAtMs: ca.notAfterMs,
    notes: [...notes, ...weaknessesOf(ca), ...ageOf(ca, nowMs)],
  };
}

function describeList(
  list: RevocationList,
  { status, vendor }: Standing,
  nowMs: number,
): TrustAnchorDescription {
  const isCurrent = list.thisUpdateMs <= nowMs && nowMs <= list.nextUpdateMs;
  return {
    sha256: toHex(sha256(list.der)),
    role: 'crl',
    status,
    ...(vendor !== undefined && { vendor }),
    subject: list.signer.subject,
    issuer: list.signer.subject,
    ...(Number.isFinite(list.nextUpdateMs) && { endsAtMs: list.nextUpdateMs }),
    notes: [
      `lists ${list.revoked.size} certificates`,
      ...(isCurrent ? [] : ['not current: what it does not list proves nothing']),
      ...(list.isComplete ? [] : ['covers some certificates or reasons only']),
    ],
  };
}

function weaknessesOf({ subject, node }: Certificate): string[] {
  try {
    verifyIssuerKey(subject, node.publicKey);
    return [];
  } catch (cause) {
    return [`certifies nothing: ${messageOf(cause)}`];
  }
}

function ageOf({ notBeforeMs, notAfterMs }: Certificate, nowMs: number): string[] {
  if (nowMs < notBeforeMs) return ['not valid yet'];
  return nowMs > notAfterMs ? ['expired: certifies nothing unless expired issuers are accepted'] : [];
}

/** What an operator says besides the certificates. */
export interface AnchorConsent {
  /** Roots that nobody pinned are meant, all in this bundle. */
  acceptUnknown: boolean;
  /** Hex SHA-256 of each root that is meant although a pinned one of its name is another certificate. */
  acceptDifferent: readonly string[];
}

/** Roots that would end a path and that the operator has not said are meant. */
export function missingConsent(
  added: readonly TrustAnchorDescription[],
  consent: AnchorConsent,
): TrustAnchorDescription[] {
  return added.filter(
    ({ role, status, sha256 }) =>
      role === 'root' &&
      ((status === 'unknown' && !consent.acceptUnknown) ||
        (status === 'different' && !consent.acceptDifferent.includes(sha256))),
  );
}
