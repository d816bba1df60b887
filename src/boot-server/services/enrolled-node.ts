import type { Appraisal } from '../../attestation/appraisal.ts';
import type { EnrolmentRecord } from '../../attestation/attestation-store.ts';
import { type NodeRecord, nodeIdOf } from '../../attestation/node.ts';
import type { Standing } from './admission.ts';

/** The node that an enrolment leads to: a new one, or one that is known and enrols again. */
export function draftNode(from: {
  enrolment: EnrolmentRecord;
  known: NodeRecord | undefined;
  standing: Standing;
  accepted: NonNullable<Appraisal['accepted']>;
  nowSeconds: number;
}): NodeRecord {
  const { enrolment, known, standing, accepted, nowSeconds } = from;
  const presented = enrolment.credentials.map((credential) => credential.fingerprint);
  const [first = ''] = presented;
  return {
    ...(known ?? newcomer(nodeIdOf(first), nowSeconds)),
    status: standing.status,
    admission: standing.admission,
    channel: standing.channel,
    identity: identityOf(enrolment, known),
    akPublic: enrolment.akPublic,
    akName: enrolment.akName,
    ekFingerprints: [...new Set([...(known?.ekFingerprints ?? []), ...presented])],
    untrustedHints: enrolment.untrustedHints,
    state: accepted.state,
    counters: accepted.counters,
    lastVerdictAtSeconds: nowSeconds,
    ...(known !== undefined && changesAk(enrolment, known) && { akMayChange: false, akRotationDue: false }),
  };
}

export function changesAk(enrolment: EnrolmentRecord, known: NodeRecord): boolean {
  return known.akName !== enrolment.akName;
}

function newcomer(id: string, createdAtSeconds: number) {
  return {
    id,
    akGeneration: 1,
    akMayChange: false,
    akRotationDue: false,
    romAsserted: false,
    floorExpected: false,
    createdAtSeconds,
  };
}

/** What was proven of these keys once stays proven: a certificate left out later takes nothing back. */
export function identityOf(
  { credentials }: EnrolmentRecord,
  known: NodeRecord | undefined,
): NodeRecord['identity'] {
  const certified = credentials.every(({ identity }) => identity === 'certified');
  return certified || known?.identity === 'certified' ? 'certified' : 'uncertified';
}
