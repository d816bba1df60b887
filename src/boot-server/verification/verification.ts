import {
  type Appraisal,
  type AppraisalInput,
  appraise,
  evidenceDocumentOf,
} from '../../attestation/appraisal.ts';

export interface VerificationOutcome {
  appraisal: Appraisal;
  /** The evidence file of what was decided on. */
  evidenceDocument: string;
}

/** Where evidence is decided on: the decision is a pure function, so any thread can make it. */
export interface Verification {
  /**
   * @throws {Problem} `too-many-requests` when more waits than can be decided on in good time; nothing
   * has been decided then
   */
  appraise(input: AppraisalInput): Promise<VerificationOutcome>;
  /** What is under way is finished. */
  stop(): Promise<void>;
}

export function decide(input: AppraisalInput): VerificationOutcome {
  return { appraisal: appraise(input), evidenceDocument: evidenceDocumentOf(input) };
}

/** On the event loop itself: for tests, and for machines with so little memory that threads cost too much. */
export function createInlineVerification(): Verification {
  return {
    appraise: async (input) => decide(input),
    stop: async () => {},
  };
}
