import type { Appraisal } from '../../attestation/appraisal.ts';
import type { AttestationStore, EnrolmentRecord } from '../../attestation/attestation-store.ts';
import { type NodeRecord, nodeIdOf } from '../../attestation/node.ts';
import { Problem } from '../problems.ts';

/** The node that an enrolment leads to: a new one, or one that is known and enrols again. */
export type NodeDrafter = (draft: {
  enrolment: EnrolmentRecord;
  known: NodeRecord | undefined;
  accepted: NonNullable<Appraisal['accepted']>;
  nowSeconds: number;
}) => Promise<NodeRecord>;

export function createNodeDrafter(on: { store: AttestationStore; defaultChannel: string }): NodeDrafter {
  /** Identity and admission are two facts; being certified admits nobody (P14). */
  async function standingOf(enrolment: EnrolmentRecord, known: NodeRecord | undefined) {
    if (known?.status === 'enrolled')
      return { status: known.status, admission: known.admission, channel: known.channel } as const;
    for (const { fingerprint } of enrolment.credentials) {
      const listed = await on.store.findListedEk(fingerprint);
      if (listed) return { status: 'enrolled', admission: 'listed', channel: listed.channel } as const;
    }
    return { status: 'pending', admission: 'pending', channel: on.defaultChannel } as const;
  }

  return async ({ enrolment, known, accepted, nowSeconds }) => ({
    id: known?.id ?? nodeIdOf(firstOf(enrolment.credentials).fingerprint),
    ...(await standingOf(enrolment, known)),
    identity: identityOf(enrolment, known),
    akPublic: enrolment.akPublic,
    akName: enrolment.akName,
    ekFingerprints: enrolment.credentials.map((credential) => credential.fingerprint),
    untrustedHints: enrolment.untrustedHints,
    akGeneration: known?.akGeneration ?? 1,
    akMayChange: known?.akMayChange ?? false,
    romAsserted: known?.romAsserted ?? false,
    state: accepted.state,
    counters: accepted.counters,
    createdAtSeconds: known?.createdAtSeconds ?? nowSeconds,
    lastVerdictAtSeconds: nowSeconds,
  });
}

/** What was proven of these keys once stays proven: a certificate left out later takes nothing back. */
function identityOf({ credentials }: EnrolmentRecord, known: NodeRecord | undefined): NodeRecord['identity'] {
  const certified = credentials.every(({ identity }) => identity === 'certified');
  return certified || known?.identity === 'certified' ? 'certified' : 'uncertified';
}

function firstOf<T>(items: readonly T[]): T {
  const [first] = items;
  if (first === undefined) throw new Problem('request-invalid', 'at least one endorsement key is needed');
  return first;
}
