import { ekFingerprint, verifyEkCertificate } from '../../attestation/endorsement/ek-certificate.ts';
import { verifyEkPublic } from '../../attestation/keys/ek-public.ts';
import type { Identity } from '../../attestation/node.ts';
import { Refusal } from '../../attestation/reasons.ts';
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
}

/** @throws {Refusal | TpmFormatError} */
export type EkExaminer = (presented: PresentedEk) => Promise<ExaminedEk>;

const RSA_BITS = 2048;

/**
 * No certificate is an honest answer and leads to `uncertified`; a certificate that does not hold is an
 * attempt and is refused.
 */
export function createEkExaminer(on: {
  trustAnchors: Pick<TrustAnchorService, 'current'>;
  clock: Clock;
}): EkExaminer {
  return async ({ public: bytes, certificate }) => {
    const publicArea = parseTpm2bPublic(bytes);
    if (publicArea.type !== 'rsa' || publicArea.keyBits !== RSA_BITS)
      throw new Refusal(
        'ek-key-unsuitable',
        `endorsement key: only RSA-${RSA_BITS} is enrolled by this version`,
      );
    verifyEkPublic(publicArea);
    const fingerprint = ekFingerprint(publicArea);
    if (certificate === undefined) return { fingerprint, publicArea, identity: 'uncertified' };
    const verified = verifyEkCertificate({
      certificate,
      ekPublic: publicArea,
      anchors: on.trustAnchors.current().anchors,
      nowMs: on.clock.nowMs(),
    });
    return {
      fingerprint,
      publicArea,
      identity: 'certified',
      certificate: verified.certificate,
      ...(verified.manufacturer !== undefined && { manufacturer: verified.manufacturer }),
    };
  };
}
