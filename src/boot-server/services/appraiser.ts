import type { AppraisalInput, Attester } from '../../attestation/appraisal.ts';
import type { ChallengeRecord } from '../../attestation/attestation-store.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { Verification, VerificationOutcome } from '../verification/verification.ts';
import type { ClientKey } from './client-key.ts';
import { publishedFloorOf } from './node-floor.ts';
import type { RepositoryService } from './repository.ts';
import type { SubmittedEvidence } from './submitted-evidence.ts';

/** Decides without recording; enrolment and boot record in transactions of their own. */
export type Appraiser = (submission: {
  challenge: ChallengeRecord;
  evidence: SubmittedEvidence;
  client: ClientKey;
  attester: Attester;
  channel: string;
  nodeId?: string;
}) => Promise<VerificationOutcome>;

/** What of an appraisal an operator decides: the policy in force and the firmware approved, for this node. */
export type PolicySource = (node: {
  channel: string;
  nodeId?: string;
}) => Promise<Pick<AppraisalInput, 'policy' | 'firmwareApprovals'>>;

export function createAppraiser(on: {
  verification: Verification;
  repository: RepositoryService;
  policies: PolicySource;
  serverKeys: readonly string[];
  clock: Clock;
}): Appraiser {
  return async ({ challenge, evidence, client, attester, channel, nodeId }) => {
    const published = on.repository.current();
    // A channel has one architecture.
    const architecture = published?.catalog.releases.get(channel)?.[0]?.listing.architecture;
    const publishedFloor = published && publishedFloorOf(published.verified, channel);
    return on.verification.appraise({
      purpose: challenge.purpose,
      challenge: evidence.challenge,
      untrustedClaims: evidence.claims,
      untrustedEvidence: evidence.untrusted,
      ...(evidence.untrustedReport && { untrustedReport: evidence.untrustedReport }),
      attester,
      connection: { clientSpki: client.spki, serverKeys: on.serverKeys },
      stage0References: published?.stage0 ?? [],
      ...(architecture && { architecture }),
      channel,
      ...(publishedFloor && { publishedFloor }),
      nowSeconds: secondsOf(on.clock),
      ...(await on.policies({ channel, ...(nodeId !== undefined && { nodeId }) })),
    });
  };
}
