import {
  type Appraisal,
  type AppraisalInput,
  appraise,
  evidenceDocumentOf,
} from '../../attestation/appraisal.ts';
import { messageOf } from '../../core/errors.ts';

export interface VerificationOutcome {
  appraisal: Appraisal;
  /** The evidence file of what was decided on. */
  evidenceDocument: string;
}

/** Where evidence is decided on: the decision is a pure function, so any thread can make it. */
export interface Verification {
  /**
   * A fault of the verifier refuses the evidence: nothing that goes wrong here can leave a node attested (Q55).
   *
   * @throws {Problem} `too-many-requests` when so much waits that it would take too long, `not-ready` when the
   * server stops: nothing has been decided then, and the same evidence may come again
   */
  appraise(input: AppraisalInput): Promise<VerificationOutcome>;
  /** What is being decided on is finished; what waits is turned away. */
  stop(): Promise<void>;
}

/** On the event loop itself: for a machine with so little memory that threads cost too much. */
export function createInlineVerification(): Verification {
  return {
    appraise: async (input) => decide(input),
    stop: async () => {},
  };
}

export function decide(input: AppraisalInput): VerificationOutcome {
  try {
    return { appraisal: appraise(input), evidenceDocument: evidenceDocumentOf(input) };
  } catch (cause) {
    return failedVerification(input, messageOf(cause));
  }
}

/** With the evidence on record: what stopped the verifier is what its makers want to see. */
export function failedVerification(input: AppraisalInput, message: string): VerificationOutcome {
  return {
    appraisal: {
      verdict: 'refuse',
      reasons: [{ code: 'verification-failed', message }],
      notes: [],
      authentic: false,
    },
    evidenceDocument: evidenceDocumentOf(input),
  };
}
