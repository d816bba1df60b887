import type { SubmittedEvidence as UntrustedEvidence } from '../../attestation/appraisal.ts';

/** Evidence as it came in: decoded from the wire, nothing of it verified. */
export interface SubmittedEvidence {
  /** Compact JWS; the stored challenge is found by the hash of exactly these bytes. */
  challenge: string;
  /** The exact bytes that the node hashed. */
  claims: Uint8Array;
  untrusted: UntrustedEvidence;
  /** Text; the claims name it by hash. */
  untrustedReport?: Uint8Array;
}
