import type {
  AttestationStore,
  ChallengeFault,
  ChallengeRecord,
} from '../../attestation/attestation-store.ts';
import type { Facts, NodeRecord } from '../../attestation/node.ts';
import type { Finding } from '../../attestation/reasons.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { chooseRelease, type Release } from '../../releases/catalog.ts';
import { Problem } from '../problems.ts';
import type { Appraiser } from './appraiser.ts';
import { challengeDigest } from './challenges.ts';
import type { ClientKey } from './client-key.ts';
import type { GrantService } from './grants.ts';
import { findEnrolled } from './node-standing.ts';
import type { RepositoryService } from './repository.ts';
import type { SubmittedEvidence } from './submitted-evidence.ts';
import { evidenceProblem, spentChallenge, verdictRecord } from './verdicts.ts';

export interface AcceptedBoot {
  facts: Facts;
  notes: readonly Finding[];
  release: Release;
  grant: string;
}

export interface Submission {
  evidence: SubmittedEvidence;
  client: ClientKey;
}

export interface EvidenceService {
  /**
   * Decides on boot evidence and records the verdict in the transaction that consumes the nonce. The
   * node hears of a grant only when that transaction is durable. A crash before it leaves the challenge
   * unanswered, a crash after it a grant that nobody was told of: the node asks for a new challenge.
   *
   * @throws {Problem} evidence-refused, evidence-held, no-release, ak-unknown, node-…
   */
  submitBoot(submission: Submission): Promise<AcceptedBoot>;
}

export function createEvidenceService(on: {
  store: AttestationStore;
  repository: RepositoryService;
  grants: GrantService;
  appraiser: Appraiser;
  clock: Clock;
}): EvidenceService {
  async function refuseSpent(challenge: ChallengeRecord, node: NodeRecord, fault: ChallengeFault) {
    const appraisal = spentChallenge(fault);
    await on.store.recordRefusal(
      verdictRecord({ challenge, node, appraisal, atSeconds: secondsOf(on.clock) }),
    );
    return evidenceProblem(appraisal);
  }

  async function prepareGrant(node: NodeRecord, client: ClientKey) {
    const release = chooseRelease(requirePublished(on.repository).catalog, node.channel);
    const grant = await on.grants.prepare({ nodeId: node.id, release, clientThumbprint: client.thumbprint });
    return { release, ...grant };
  }

  const service: EvidenceService = {
    async submitBoot(submission) {
      const { evidence, client } = submission;
      const challenge = await findChallenge(on.store, evidence);
      requirePurpose(challenge, 'boot');
      const node = await findEnrolled(on.store, challenge.akName);
      if (challenge.consumed) throw await refuseSpent(challenge, node, 'nonce-consumed');

      const { appraisal, evidenceDocument } = await on.appraiser({
        challenge,
        evidence,
        client,
        attester: node,
        channel: node.channel,
      });
      const granted = appraisal.accepted && (await prepareGrant(node, client));
      const record = verdictRecord({
        challenge,
        node,
        appraisal,
        evidenceDocument,
        atSeconds: secondsOf(on.clock),
      });
      const outcome = await on.store.commitVerdict({
        challengeSha256: challenge.sha256,
        verdict: { ...record, ...(granted && { releaseDigest: granted.release.listing.sha256 }) },
        ...(appraisal.accepted && { counters: { before: node.counters, now: appraisal.accepted.counters } }),
        ...(granted && { grant: granted.record }),
      });
      if (outcome === 'node-not-enrolled')
        throw new Problem('node-revoked', `node ${node.id} was revoked while it attested`);
      // Somebody else's evidence went first: a step forward for this node each time, so this ends.
      if (outcome === 'counters-moved') return service.submitBoot(submission);
      if (outcome !== 'committed') throw await refuseSpent(challenge, node, outcome);
      if (!granted || !record.facts) throw evidenceProblem(appraisal);
      return { facts: record.facts, notes: appraisal.notes, release: granted.release, grant: granted.token };
    },
  };
  return service;
}

/** @throws {Problem} evidence-refused, when this server never issued that challenge or has forgotten it */
export async function findChallenge(store: AttestationStore, evidence: SubmittedEvidence) {
  const challenge = await store.findChallenge(challengeDigest(evidence.challenge));
  if (challenge === undefined) throw evidenceProblem(spentChallenge('challenge-unknown'));
  return challenge;
}

/** P4: evidence goes to the one call that its challenge was made for. */
export function requirePurpose(challenge: ChallengeRecord, purpose: ChallengeRecord['purpose']): void {
  if (challenge.purpose === purpose) return;
  const message = `the challenge asked for ${challenge.purpose} evidence, this call takes ${purpose}`;
  throw evidenceProblem({
    verdict: 'refuse',
    reasons: [{ code: 'purpose-mismatch', message }],
    notes: [],
    authentic: false,
  });
}

function requirePublished(repository: RepositoryService) {
  const published = repository.current();
  if (published === undefined)
    throw new Problem('no-release', 'nothing has been published on this server yet: run "boot-sign publish"');
  return published;
}
