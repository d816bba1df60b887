import type { Appraisal } from '../../attestation/appraisal.ts';
import type {
  AttestationStore,
  ChallengeFault,
  ChallengeRecord,
  VerdictBasis,
} from '../../attestation/attestation-store.ts';
import type { Facts, NodeRecord, NodeSession } from '../../attestation/node.ts';
import { isAfterHandover } from '../../attestation/policy/evidence-policy.ts';
import type { PolicyStore } from '../../attestation/policy/policy-store.ts';
import type { Finding } from '../../attestation/reasons.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { Release } from '../../releases/catalog.ts';
import { Problem } from '../problems.ts';
import type { Appraiser } from './appraiser.ts';
import { challengeDigest } from './challenges.ts';
import type { ClientKey } from './client-key.ts';
import type { GrantService } from './grants.ts';
import { floorAfter, floorApprovalFor, isOfThisSide } from './node-floor.ts';
import { findEnrolled } from './node-standing.ts';
import type { PolicyService } from './policies.ts';
import type { ReleaseChoice } from './release-choice.ts';
import type { SubmittedEvidence } from './submitted-evidence.ts';
import { evidenceProblem, spentChallenge, verdictRecord } from './verdicts.ts';

export interface AcceptedEvidence {
  facts: Facts;
  notes: readonly Finding[];
  /** Of a boot. */
  granted?: { release: Release; grant: string };
  /** Of a boot: what lets the stage-0 that was identified write its floor, hex. */
  floorApproval?: string;
  /** Of a running system whose policy sets a deadline. */
  nextWithinSeconds?: number;
}

export interface Submission {
  evidence: SubmittedEvidence;
  client: ClientKey;
}

export interface EvidenceService {
  /**
   * Decides on evidence for the purpose that its challenge was made for, and records the verdict in the
   * transaction that consumes the nonce. Only a boot is granted anything, and the node hears of a grant only when that
   * transaction is durable. A crash before it leaves the challenge unanswered, a crash after it a grant that nobody
   * was told of: the node asks for a new challenge.
   *
   * A running system whose own TPM signed evidence that does not hold makes its node suspect, in the same
   * transaction. What is not authentic, or was asked of the boot before and comes late, changes nothing but the record.
   *
   * @throws {Problem} evidence-refused, evidence-held, no-release, ak-unknown, ak-rotated, node-…
   */
  submit(submission: Submission): Promise<AcceptedEvidence>;
}

export function createEvidenceService(on: {
  store: AttestationStore;
  policyStore: Pick<PolicyStore, 'findBaseline'>;
  policies: Pick<PolicyService, 'nextWithinSeconds'>;
  releaseChoice: ReleaseChoice;
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

  async function judge(challenge: ChallengeRecord, node: NodeRecord, { evidence, client }: Submission) {
    const baseline = await on.policyStore.findBaseline(node.id);
    return on.appraiser({
      challenge,
      evidence,
      client,
      attester: { ...node, ...(baseline && { baseline }) },
      channel: node.channel,
      nodeId: node.id,
    });
  }

  async function prepareGrant(
    node: NodeRecord,
    client: ClientKey,
    { claimedStage0, counters, report }: NonNullable<Appraisal['accepted']>,
  ) {
    const release = await on.releaseChoice.choose({
      nodeId: node.id,
      channel: node.channel,
      cycle: counters,
      ...(report !== undefined && { report }),
    });
    const grant = await on.grants.prepare({
      nodeId: node.id,
      release,
      clientThumbprint: client.thumbprint,
      ...(claimedStage0 && { claimedStage0 }),
    });
    return { release, ...grant };
  }

  const service: EvidenceService = {
    async submit(submission) {
      const challenge = await findChallenge(on.store, submission.evidence);
      if (challenge.purpose === 'enrol') throw wrongPurpose(challenge, 'boot');
      const node = await findEnrolled(on.store, challenge.akName);
      if (challenge.consumed) throw await refuseSpent(challenge, node, 'nonce-consumed');

      const { appraisal, evidenceDocument } = await judge(challenge, node, submission);
      const { accepted } = appraisal;
      const isBoot = challenge.purpose === 'boot';
      const granted = accepted && isBoot ? await prepareGrant(node, submission.client, accepted) : undefined;
      const nextWithinSeconds = isBoot ? undefined : await on.policies.nextWithinSeconds(node.channel);
      const atSeconds = secondsOf(on.clock);
      const record = verdictRecord({ challenge, node, appraisal, evidenceDocument, atSeconds });
      const session = accepted && sessionAfter({ node, accepted, granted, atSeconds });
      const outcome = await on.store.commitVerdict({
        challengeSha256: challenge.sha256,
        verdict: { ...record, ...(granted && { releaseDigest: granted.release.listing.sha256 }) },
        ...(accepted && { counters: { before: node.counters, now: accepted.counters } }),
        ...(accepted && { basis: basisOf(node, accepted) }),
        ...(session && { session }),
        ...(accepted?.baseline && { baseline: accepted.baseline }),
        ...(accepted && floorAfter(accepted, challenge.purpose)),
        ...(granted && { grant: granted.record }),
        ...(betraysItself({ challenge, appraisal, node }) && {
          suspect: {
            suspicion: suspicionOf(appraisal, atSeconds),
            ...(node.session && { session: node.session }),
          },
        }),
      });
      if (outcome === 'node-not-enrolled') {
        await findEnrolled(on.store, challenge.akName);
        throw new Problem('node-revoked', `node ${node.id} was revoked while it attested`);
      }
      // Other evidence or an operator went first: a step forward for this node each time, so this ends.
      if (outcome === 'basis-moved') return service.submit(submission);
      if (outcome !== 'committed') throw await refuseSpent(challenge, node, outcome);
      if (!record.facts) throw evidenceProblem(appraisal);
      if (accepted?.health !== undefined && node.session)
        await on.releaseChoice.bookHealth({
          nodeId: node.id,
          channel: node.channel,
          cycle: node.session,
          releaseDigest: node.session.releaseDigest,
          health: accepted.health,
          ...(accepted.report !== undefined && { report: accepted.report }),
        });
      const floorApproval = accepted && isBoot ? floorApprovalFor(accepted) : undefined;
      return {
        facts: record.facts,
        notes: appraisal.notes,
        ...(floorApproval !== undefined && { floorApproval }),
        ...(granted && { granted: { release: granted.release, grant: granted.token } }),
        ...(nextWithinSeconds !== undefined && { nextWithinSeconds }),
      };
    },
  };
  return service;
}

function basisOf(
  { channel, romAsserted }: NodeRecord,
  { firmwareApproval }: NonNullable<Appraisal['accepted']>,
): VerdictBasis {
  return { channel, romAsserted, ...(firmwareApproval !== undefined && { firmwareApproval }) };
}

/** A boot begins a session with what it was granted; evidence of the running system proves it once more. */
function sessionAfter(of: {
  node: NodeRecord;
  accepted: NonNullable<Appraisal['accepted']>;
  granted: { release: Release } | undefined;
  atSeconds: number;
}): NodeSession | undefined {
  const { node, accepted, granted, atSeconds } = of;
  if (granted === undefined) return node.session && { ...node.session, provenAtSeconds: atSeconds };
  const { resetCount, restartCount } = accepted.counters;
  return {
    releaseDigest: granted.release.listing.sha256,
    ...(accepted.stage0 && { stage0Sha256: accepted.stage0.reference.sha256 }),
    resetCount,
    restartCount,
    startedAtSeconds: atSeconds,
    provenAtSeconds: atSeconds,
  };
}

function betraysItself(of: { challenge: ChallengeRecord; appraisal: Appraisal; node: NodeRecord }): boolean {
  const { verdict, authentic } = of.appraisal;
  return (
    isAfterHandover(of.challenge.purpose) &&
    authentic &&
    verdict !== 'accept' &&
    !isFromBefore(of) &&
    !isOfThisSide(of.appraisal)
  );
}

/** What was asked of the boot before and comes late says nothing about this one. */
function isFromBefore(of: { challenge: ChallengeRecord; appraisal: Appraisal; node: NodeRecord }): boolean {
  const { challenge, appraisal, node } = of;
  const ofAnother = appraisal.reasons.some(({ code }) => code === 'session-mismatch');
  return ofAnother && node.session !== undefined && challenge.issuedAtSeconds < node.session.startedAtSeconds;
}

function suspicionOf({ reasons }: Appraisal, sinceSeconds: number) {
  return { sinceSeconds, reason: reasons.map(({ code, message }) => `${code}: ${message}`).join('; ') };
}

/** @throws {Problem} evidence-refused, when this server never issued that challenge or has forgotten it */
export async function findChallenge(store: AttestationStore, evidence: SubmittedEvidence) {
  const challenge = await store.findChallenge(challengeDigest(evidence.challenge));
  if (challenge === undefined) throw evidenceProblem(spentChallenge('challenge-unknown'));
  return challenge;
}

/** P4: evidence goes to the one call that its challenge was made for. */
export function requirePurpose(challenge: ChallengeRecord, purpose: ChallengeRecord['purpose']): void {
  if (challenge.purpose !== purpose) throw wrongPurpose(challenge, purpose);
}

function wrongPurpose(challenge: ChallengeRecord, purpose: ChallengeRecord['purpose']): Problem {
  const message = `the challenge asked for ${challenge.purpose} evidence, this call takes ${purpose}`;
  return evidenceProblem({
    verdict: 'refuse',
    reasons: [{ code: 'purpose-mismatch', message }],
    notes: [],
    authentic: false,
  });
}
