import type {
  AttestationStore,
  EnrolmentRecord,
  VerdictRecord,
} from '../../attestation/attestation-store.ts';
import type { Facts, NodeRecord } from '../../attestation/node.ts';
import { toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { Problem } from '../problems.ts';
import type { AdmissionService } from './admission.ts';
import type { Appraiser } from './appraiser.ts';
import type { ChallengeService } from './challenges.ts';
import type { ClientKey } from './client-key.ts';
import type { EkExaminer, ExaminedEk } from './ek-examiner.ts';
import { changesAk, draftNode, identityOf } from './enrolled-node.ts';
import {
  type AnsweredSecret,
  type OfferedCredential,
  offerCredential,
  requireSecrets,
} from './enrolment-credentials.ts';
import type { EnrolmentTokenService } from './enrolment-tokens.ts';
import { enrolmentProblem, judgeEnrolment } from './enrolment-verdict.ts';
import { findChallenge, requirePurpose, type Submission } from './evidence.ts';
import { findLinkedNode } from './linked-node.ts';
import { examineKeys, type PresentedKeys } from './presented-keys.ts';
import { evidenceProblem, spentChallenge, verdictRecord } from './verdicts.ts';

const ENROLMENT_ID_BYTES = 16;
/**
 * Bounds what strangers can make this server keep (E28): enrolments under way, each gone with its
 * challenge, and machines that wait for an operator. A flood of them does not keep out a machine that is
 * listed or known, or that has a token.
 */
const MAX_OPEN_TO_STRANGERS = 2000;
const MAX_OPEN_TO_EXPECTED = 20_000;

export interface EnrolmentRequest extends PresentedKeys {
  /** As somebody typed it. */
  token?: string;
  untrustedHints: Readonly<Record<string, string>>;
  client: ClientKey;
}

export interface OfferedEnrolment {
  id: string;
  challenge: string;
  credentials: readonly OfferedCredential[];
}

export interface ActivationAnswer extends Submission {
  id: string;
  secrets: readonly AnsweredSecret[];
}

export interface EnrolmentService {
  /**
   * Examines the keys and offers one credential per EK, which only the TPM that holds both the EK and
   * this very AK can open.
   *
   * @throws {Problem} and then nothing is stored
   */
  begin(request: EnrolmentRequest): Promise<OfferedEnrolment>;
  /**
   * One try: whatever is wrong with the answer ends the enrolment. A crash before the last write leaves
   * an enrolment that expires, after it a node.
   *
   * @throws {Problem}
   */
  activate(answer: ActivationAnswer): Promise<{ node: NodeRecord; facts: Facts }>;
  /** The node that this enrolment led to, told to the boot that made it and to nobody else. */
  find(query: { id: string; client: ClientKey }): Promise<NodeRecord>;
}

export function createEnrolmentService(on: {
  store: AttestationStore;
  challenges: ChallengeService;
  appraiser: Appraiser;
  examineEk: EkExaminer;
  admission: AdmissionService;
  tokens: EnrolmentTokenService;
  ttlSeconds: number;
  clock: Clock;
  random: RandomSource;
}): EnrolmentService {
  /** A machine that comes in without its token is not asked for it: it stays good for another. */
  async function findNeededToken(
    { token }: EnrolmentRequest,
    eks: readonly ExaminedEk[],
    known?: NodeRecord,
  ) {
    if (token === undefined || known?.status === 'enrolled') return undefined;
    if (await on.admission.isListed(eks)) return undefined;
    return on.tokens.find(token);
  }

  async function refuseFlood(isExpected: boolean): Promise<void> {
    const limit = isExpected ? MAX_OPEN_TO_EXPECTED : MAX_OPEN_TO_STRANGERS;
    if ((await on.store.countOpenEnrolments(secondsOf(on.clock))) >= limit)
      throw new Problem('too-many-requests', 'too many machines enrol or wait: try again in a minute', {
        headers: { 'retry-after': '60' },
      });
  }

  /** The right TPM answered; what does it say of itself, and is that good enough? */
  async function judge(enrolment: EnrolmentRecord, answer: ActivationAnswer) {
    requireSecrets(enrolment, answer.secrets);
    const challenge = await findChallenge(on.store, answer.evidence);
    requirePurpose(challenge, 'enrol');
    if (challenge.enrolmentId !== enrolment.id) throw evidenceProblem(spentChallenge('challenge-unknown'));
    const { akName, credentials } = enrolment;
    const known = await findLinkedNode(on.store, { akName, eks: credentials });
    const standing = await on.admission.decide(enrolment, known);
    const { appraisal, evidenceDocument } = await on.appraiser({
      challenge,
      evidence: answer.evidence,
      client: answer.client,
      channel: standing.channel,
      // The counters are the TPM's: another attestation key does not set them back.
      attester: {
        identity: identityOf(enrolment, known),
        admission: standing.admission,
        romAsserted: known?.romAsserted ?? false,
        akPublic: enrolment.akPublic,
        ekFingerprints: credentials.map((credential) => credential.fingerprint),
        ...(known?.counters && { counters: known.counters }),
      },
    });
    return {
      challenge,
      known,
      standing,
      appraisal: judgeEnrolment(appraisal, { enrolment, known }),
      evidenceDocument,
    };
  }

  type Judgement = Awaited<ReturnType<typeof judge>>;

  function recordOf(judgement: Judgement, node: NodeRecord | undefined): VerdictRecord {
    return verdictRecord({ ...judgement, node, atSeconds: secondsOf(on.clock) });
  }

  async function commit(enrolment: EnrolmentRecord, answer: ActivationAnswer) {
    const judgement = await judge(enrolment, answer);
    const { challenge, known, standing, appraisal } = judgement;
    const { accepted } = appraisal;
    if (accepted === undefined) {
      await on.store.recordRefusal(recordOf(judgement, known));
      throw enrolmentProblem(appraisal);
    }
    const node = draftNode({ enrolment, known, standing, accepted, nowSeconds: secondsOf(on.clock) });
    const verdict = recordOf(judgement, node);
    const outcome = await on.store.commitActivation({
      enrolmentId: enrolment.id,
      challengeSha256: challenge.sha256,
      node,
      ...(known?.counters && { countersBefore: known.counters }),
      endorsementKeys: enrolment.credentials,
      ...(known && changesAk(enrolment, known) && { akNameBefore: known.akName }),
      ...(standing.tokenSha256 !== undefined && { tokenSha256: standing.tokenSha256 }),
      verdict,
    });
    refuseOutcome(outcome);
    if (verdict.facts === undefined) throw new Error('an accepted verdict has facts');
    return { node, facts: verdict.facts };
  }

  return {
    async begin(request) {
      const { akPublic, akName, eks, notes } = await examineKeys(request, on.examineEk);
      const known = await findLinkedNode(on.store, { akName: toHex(akName), eks });
      const token = await findNeededToken(request, eks, known);
      await refuseFlood(known !== undefined || token !== undefined || (await on.admission.isListed(eks)));

      const id = toHex(on.random(ENROLMENT_ID_BYTES));
      const credentials = eks.map((ek) => offerCredential(ek, { akName, random: on.random }));
      await on.store.saveEnrolment({
        id,
        akPublic: akPublic.raw,
        akName: toHex(akName),
        credentials: credentials.map(({ pending }) => pending),
        clientThumbprint: request.client.thumbprint,
        untrustedHints: request.untrustedHints,
        ...(token && { tokenSha256: token.sha256 }),
        notes,
        expiresAtSeconds: secondsOf(on.clock) + on.ttlSeconds,
      });
      const challenge = await on.challenges.issue({
        purpose: 'enrol',
        akName: toHex(akName),
        enrolmentId: id,
      });
      return { id, challenge, credentials: credentials.map(({ offer }) => offer) };
    },

    async activate(answer) {
      const enrolment = await on.store.findEnrolment(answer.id);
      if (enrolment === undefined || enrolment.clientThumbprint !== answer.client.thumbprint)
        throw new Problem('enrolment-unknown', 'no enrolment of this boot has that id, or it has ended');
      try {
        if (enrolment.expiresAtSeconds <= secondsOf(on.clock))
          throw new Problem('enrolment-ended', 'the enrolment has expired: begin again');
        return await commit(enrolment, answer);
      } catch (cause) {
        await on.store.endEnrolment(enrolment.id);
        throw cause;
      }
    },

    async find({ id, client }) {
      const node = await on.store.findEnrolledNode({ enrolmentId: id, clientThumbprint: client.thumbprint });
      if (node === undefined)
        throw new Problem('enrolment-unknown', 'no enrolment of this boot has that id, or it has ended');
      return node;
    },
  };
}

/** @throws {Problem} for every outcome but `committed` */
function refuseOutcome(outcome: Awaited<ReturnType<AttestationStore['commitActivation']>>): void {
  if (outcome === 'committed') return;
  if (outcome === 'conflict')
    throw new Problem('enrolment-refused', 'the node or its keys changed while it enrolled: begin again');
  if (outcome === 'token-spent')
    throw new Problem('token-refused', 'the enrolment token was used, withdrawn or expired meanwhile');
  throw evidenceProblem(spentChallenge(outcome));
}
