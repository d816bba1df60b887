import type { AppraisalInput } from '../../attestation/appraisal.ts';
import type { ChallengeRecord } from '../../attestation/attestation-store.ts';
import type { ChannelPolicy } from '../../attestation/policy/channel-policy.ts';
import type { Verification, VerificationOutcome } from '../verification/verification.ts';
import type { ClientKey } from './client-key.ts';
import type { RepositoryService } from './repository.ts';
import type { SubmittedEvidence } from './submitted-evidence.ts';

/** Decides without recording; enrolment and boot record in transactions of their own. */
export type Appraiser = (submission: {
  challenge: ChallengeRecord;
  evidence: SubmittedEvidence;
  client: ClientKey;
  attester: AppraisalInput['attester'];
}) => Promise<VerificationOutcome>;

export function createAppraiser(on: {
  verification: Verification;
  repository: RepositoryService;
  serverKeys: readonly string[];
  policy: ChannelPolicy;
}): Appraiser {
  return async ({ challenge, evidence, client, attester }) => {
    return on.verification.appraise({
      purpose: challenge.purpose,
      challenge: evidence.challenge,
      untrustedClaims: evidence.claims,
      untrustedEvidence: evidence.untrusted,
      attester,
      connection: { clientSpki: client.spki, serverKeys: on.serverKeys },
      stage0References: on.repository.current()?.stage0 ?? [],
      policy: on.policy,
    });
  };
}
