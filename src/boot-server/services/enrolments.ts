import type { Appraisal } from '../../attestation/appraisal.ts';
import type {
  AttestationStore,
  ChallengeRecord,
  EnrolmentRecord,
  PendingCredential,
} from '../../attestation/attestation-store.ts';
import type { Facts, NodeRecord } from '../../attestation/node.ts';
import { bytesEqual, fromHex, sha256, toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { type Credential, makeCredential } from '../../tpm/credential.ts';
import { Problem } from '../problems.ts';
import type { Appraiser } from './appraiser.ts';
import type { ChallengeService } from './challenges.ts';
import type { ClientKey } from './client-key.ts';
import type { EkExaminer, ExaminedEk } from './ek-examiner.ts';
import { createNodeDrafter } from './enrolled-node.ts';
import { findChallenge, requirePurpose, type Submission } from './evidence.ts';
import { examineKeys, type PresentedKeys } from './presented-keys.ts';
import { evidenceProblem, spentChallenge, verdictRecord } from './verdicts.ts';

const ENROLMENT_ID_BYTES = 16;
const SECRET_BYTES = 32;
/**
 * Bounds what strangers can make this server keep (E28): enrolments under way, each gone with its
 * challenge, and machines that wait for an operator. A flood of them does not keep out a machine that is
 * listed or known.
 */
const MAX_OPEN_TO_STRANGERS = 2000;
const MAX_OPEN_TO_EXPECTED = 20_000;

export interface EnrolmentRequest extends PresentedKeys {
  untrustedHints: Readonly<Record<string, string>>;
  client: ClientKey;
}

export interface OfferedEnrolment {
  id: string;
  challenge: string;
  credentials: readonly ({ ekFingerprint: string } & Credential)[];
}

export interface ActivationAnswer extends Submission {
  id: string;
  secrets: readonly { ekFingerprint: string; secret: Uint8Array }[];
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
  defaultChannel: string;
  ttlSeconds: number;
  clock: Clock;
  random: RandomSource;
}): EnrolmentService {
  const draftNode = createNodeDrafter(on);

  async function isExpected(eks: readonly ExaminedEk[]): Promise<boolean> {
    for (const { fingerprint } of eks)
      if ((await on.store.findListedEk(fingerprint)) ?? (await on.store.findNodeByEk(fingerprint)))
        return true;
    return false;
  }

  async function refuseFlood(eks: readonly ExaminedEk[]): Promise<void> {
    const limit = (await isExpected(eks)) ? MAX_OPEN_TO_EXPECTED : MAX_OPEN_TO_STRANGERS;
    if ((await on.store.countOpenEnrolments(secondsOf(on.clock))) >= limit)
      throw new Problem('too-many-requests', 'too many machines enrol or wait: try again in a minute', {
        headers: { 'retry-after': '60' },
      });
  }

  /** What must be known before a credential is worth making; the writes decide it again. */
  async function refuseKnownConflicts(akName: string, eks: readonly ExaminedEk[]): Promise<void> {
    const byAk = await on.store.findNodeByAk(akName);
    for (const { fingerprint } of eks) {
      const byEk = await on.store.findNodeByEk(fingerprint);
      if (byEk?.status === 'revoked' || byEk?.status === 'rejected')
        throw new Problem(`node-${byEk.status}`, `node ${byEk.id} was ${byEk.status} by an operator`);
      if (byEk !== undefined && byEk.akName !== akName)
        throw new Problem('enrolment-refused', `node ${byEk.id} is known with another attestation key`);
      if (byAk !== undefined && byEk === undefined)
        throw new Problem(
          'enrolment-refused',
          'this attestation key is enrolled with another endorsement key',
        );
    }
  }

  function offerCredential(ek: ExaminedEk, akName: Uint8Array) {
    const secret = on.random(SECRET_BYTES);
    const credential = makeCredential({
      ekPublic: ek.publicArea,
      objectName: akName,
      credential: secret,
      random: on.random,
    });
    const pending: PendingCredential = {
      fingerprint: ek.fingerprint,
      publicArea: ek.publicArea.raw,
      identity: ek.identity,
      ...(ek.certificate && { certificate: ek.certificate }),
      ...(ek.manufacturer !== undefined && { manufacturer: ek.manufacturer }),
      secretSha256: toHex(sha256(secret)),
    };
    return { pending, offer: { ekFingerprint: ek.fingerprint, ...credential } };
  }

  async function decide(enrolment: EnrolmentRecord, answer: ActivationAnswer) {
    requireSecrets(enrolment, answer);
    const challenge = await findChallenge(on.store, answer.evidence);
    requirePurpose(challenge, 'enrol');
    if (challenge.enrolmentId !== enrolment.id) throw evidenceProblem(spentChallenge('challenge-unknown'));
    const known = await on.store.findNodeByAk(enrolment.akName);
    const { appraisal, evidenceDocument } = await on.appraiser({
      challenge,
      evidence: answer.evidence,
      client: answer.client,
      attester: {
        akPublic: enrolment.akPublic,
        ekFingerprints: enrolment.credentials.map((credential) => credential.fingerprint),
        ...(known?.counters && { counters: known.counters }),
      },
    });
    if (appraisal.accepted === undefined) {
      await recordRefusal(challenge, appraisal);
      throw evidenceProblem(appraisal);
    }
    return {
      challenge,
      appraisal,
      evidenceDocument,
      node: await draftNode({
        enrolment,
        known,
        accepted: appraisal.accepted,
        nowSeconds: secondsOf(on.clock),
      }),
      countersBefore: known?.counters,
    };
  }

  async function recordRefusal(challenge: ChallengeRecord, appraisal: Appraisal): Promise<void> {
    const atSeconds = secondsOf(on.clock);
    await on.store.recordRefusal(verdictRecord({ challenge, node: undefined, appraisal, atSeconds }));
  }

  async function commit(enrolment: EnrolmentRecord, answer: ActivationAnswer) {
    const { challenge, appraisal, evidenceDocument, node, countersBefore } = await decide(enrolment, answer);
    const atSeconds = secondsOf(on.clock);
    const verdict = verdictRecord({ challenge, node, appraisal, evidenceDocument, atSeconds });
    const outcome = await on.store.commitActivation({
      enrolmentId: enrolment.id,
      challengeSha256: challenge.sha256,
      node,
      ...(countersBefore && { countersBefore }),
      endorsementKeys: enrolment.credentials,
      verdict,
    });
    if (outcome === 'conflict')
      throw new Problem('enrolment-refused', 'the node or its keys changed while it enrolled: begin again');
    if (outcome === 'token-spent')
      throw new Problem('enrolment-refused', 'another machine has used this enrolment token');
    if (outcome !== 'committed') throw evidenceProblem(spentChallenge(outcome));
    if (verdict.facts === undefined) throw new Error('an accepted verdict has facts');
    return { node, facts: verdict.facts };
  }

  return {
    async begin(request) {
      const { akPublic, akName, eks } = await examineKeys(request, on.examineEk);
      await refuseKnownConflicts(toHex(akName), eks);
      await refuseFlood(eks);

      const id = toHex(on.random(ENROLMENT_ID_BYTES));
      const credentials = eks.map((ek) => offerCredential(ek, akName));
      await on.store.saveEnrolment({
        id,
        akPublic: akPublic.raw,
        akName: toHex(akName),
        credentials: credentials.map(({ pending }) => pending),
        clientThumbprint: request.client.thumbprint,
        untrustedHints: request.untrustedHints,
        notes: [],
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

/** Every credential must be answered, and nothing else: all EKs that become aliases were proven. */
function requireSecrets(enrolment: EnrolmentRecord, answer: ActivationAnswer): void {
  const answers = new Map(answer.secrets.map((secret) => [secret.ekFingerprint, secret.secret]));
  const right = enrolment.credentials.every((credential) => {
    const secret = answers.get(credential.fingerprint);
    return secret !== undefined && bytesEqual(sha256(secret), fromHex(credential.secretSha256));
  });
  if (!right || answer.secrets.length !== enrolment.credentials.length)
    throw new Problem(
      'activation-refused',
      'the TPM did not open the credential: EK and AK are not both in it',
    );
}
