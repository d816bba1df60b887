import { ekFingerprint, verifyEkCertificate } from '../../attestation/endorsement/ek-certificate.ts';
import { verifyManufacturer } from '../../attestation/endorsement/ek-manufacturer.ts';
import { verifyEkPublic } from '../../attestation/keys/ek-public.ts';
import { verifyEkTemplate } from '../../attestation/keys/ek-template.ts';
import type { Identity } from '../../attestation/node.ts';
import type { Finding } from '../../attestation/reasons.ts';
import type { Clock } from '../../core/clock.ts';
import { parseTpm2bPublic, type TpmPublic } from '../../tpm/public-area.ts';
import type { TrustAnchorService } from './trust-anchors.ts';

/** An endorsement key as a stranger presents it. */
export interface PresentedEk {
  /** TPM2B_PUBLIC. */
  public: Uint8Array;
  /** What NV held, padding and all. */
  certificate?: Uint8Array;
}

export interface ExaminedEk {
  fingerprint: string;
  publicArea: TpmPublic;
  identity: Identity;
  certificate?: Uint8Array;
  manufacturer?: string;
  /** What does not keep it from being certified, but should be known: an expired certificate, no CRL. */
  notes: readonly Finding[];
}

/**
 * @param claimedVendorId TPM_PT_MANUFACTURER as the TPM reports it, unsigned
 * @throws {Refusal | TpmFormatError}
 */
export type EkExaminer = (presented: PresentedEk, claimedVendorId: number | undefined) => Promise<ExaminedEk>;

/**
 * No certificate is an honest answer and leads to `uncertified`; a certificate that does not hold is an
 * attempt and is refused.
 */
export function createEkExaminer(on: {
  trustAnchors: Pick<TrustAnchorService, 'current'>;
  requireRevocationLists: boolean;
  acceptExpiredIssuers: boolean;
  clock: Clock;
}): EkExaminer {
  return async ({ public: bytes, certificate }, claimedVendorId) => {
    const publicArea = parseTpm2bPublic(bytes);
    verifyEkPublic(publicArea);
    verifyEkTemplate(publicArea);
    const fingerprint = ekFingerprint(publicArea);
    if (certificate === undefined) return { fingerprint, publicArea, identity: 'uncertified', notes: [] };
    const verified = verifyEkCertificate({
      certificate,
      ekPublic: publicArea,
      anchors: on.trustAnchors.current().anchors,
      requireRevocationLists: on.requireRevocationLists,
      acceptExpiredIssuers: on.acceptExpiredIssuers,
      nowMs: on.clock.nowMs(),
    });
    if (claimedVendorId !== undefined) verifyManufacturer(claimedVendorId, verified);
    return {
      fingerprint,
      publicArea,
      identity: 'certified',
      certificate: verified.certificate,
      ...(verified.manufacturer !== undefined && { manufacturer: verified.manufacturer }),
      notes: [...verified.notes, ...(claimedVendorId === undefined ? [UNREPORTED] : [])],
    };
  };
}

const UNREPORTED: Finding = {
  code: 'ek-manufacturer-unreported',
  message:
    'EK certificate: the node does not say what manufacturer its TPM reports, so they were not compared',
};
