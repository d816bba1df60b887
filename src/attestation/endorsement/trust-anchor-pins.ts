import { CodedError } from '../../core/errors.ts';
import { isJsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import type { Certificate } from '../x509/x509.ts';
import type { TrustAnchors } from './trust-anchors.ts';

/** A manufacturer's root that we know from a published list; the certificate itself comes from the operator. */
export interface PinnedRoot {
  vendor: string;
  /** As `Certificate.subject` spells it. */
  subject: string;
  /** Hex, of the DER certificate. */
  sha256: string;
  /** Where to get that certificate. */
  publishedAt: string;
}

export class PinnedRootsError extends CodedError<'pinned-roots-invalid'> {}

const MAX_BYTES = 65_536;
const SHA256 = /^[0-9a-f]{64}$/;

/** Reads keys/tpm-vendors.json. @throws {PinnedRootsError | StrictJsonError} */
export function parsePinnedRoots(bytes: Uint8Array): PinnedRoot[] {
  const document = parseStrictJson(bytes, { maxBytes: MAX_BYTES });
  const roots = isJsonObject(document) ? document.roots : undefined;
  if (!Array.isArray(roots)) throw new PinnedRootsError('pinned-roots-invalid', 'no list of roots');
  return roots.map(readPin);
}

function readPin(value: JsonValue, index: number): PinnedRoot {
  const { vendor, subject, sha256, publishedAt } = isJsonObject(value) ? value : {};
  if (
    typeof vendor !== 'string' ||
    typeof subject !== 'string' ||
    typeof sha256 !== 'string' ||
    typeof publishedAt !== 'string'
  )
    throw new PinnedRootsError(
      'pinned-roots-invalid',
      `root ${index + 1}: vendor, subject, sha256 or publishedAt is missing`,
    );
  if (!SHA256.test(sha256))
    throw new PinnedRootsError('pinned-roots-invalid', `root ${index + 1}: sha256 is not 64 hex digits`);
  return { vendor, subject, sha256, publishedAt };
}

/** The pin of this certificate, else one of its name: names are compared without regard to letters and spaces. */
export function findPin(
  root: Certificate,
  pins: readonly PinnedRoot[],
): (PinnedRoot & { isExact: boolean }) | undefined {
  const sha256 = fingerprintOf(root);
  const exact = pins.find((pin) => pin.sha256 === sha256);
  const name = comparable(root.subject);
  const pin = exact ?? pins.find(({ subject }) => comparable(subject) === name);
  return pin && { ...pin, isExact: pin === exact };
}

function comparable(subject: string): string {
  return subject.trim().replaceAll(/\s+/g, ' ').toLowerCase();
}

/**
 * Some manufacturers publish as their root what another CA has signed, and not that CA. Such a certificate
 * ends a path when it is pinned: both the operator and the pin vouch for it.
 */
export function adoptPinnedRoots(anchors: TrustAnchors, pins: readonly PinnedRoot[]): TrustAnchors {
  const pinned = new Set(pins.map(({ sha256 }) => sha256));
  const isPinned = (ca: Certificate) => pinned.has(fingerprintOf(ca));
  return {
    ...anchors,
    roots: [...anchors.roots, ...anchors.intermediates.filter(isPinned)],
    intermediates: anchors.intermediates.filter((ca) => !isPinned(ca)),
  };
}

function fingerprintOf({ node }: Certificate): string {
  return node.fingerprint256.replaceAll(':', '').toLowerCase();
}
