import type { Appraisal } from '../../attestation/appraisal.ts';
import type { EnrolmentRecord } from '../../attestation/attestation-store.ts';
import type { NodeRecord } from '../../attestation/node.ts';
import type { Finding } from '../../attestation/reasons.ts';
import { Problem } from '../problems.ts';
import { changesAk } from './enrolled-node.ts';
import { evidenceProblem } from './verdicts.ts';

/** The appraisal of the evidence, and what only the enrolment knows: another AK, and notes on its EKs. */
export function judgeEnrolment(
  appraisal: Appraisal,
  { enrolment, known }: { enrolment: EnrolmentRecord; known: NodeRecord | undefined },
): Appraisal {
  const notes = [...appraisal.notes, ...(enrolment.notes as Finding[])];
  const held = known && findAkFault(enrolment, known);
  if (held === undefined || appraisal.verdict === 'refuse') return { ...appraisal, notes };
  return { verdict: 'hold', reasons: [...appraisal.reasons, held], notes, authentic: appraisal.authentic };
}

/** What the machine hears of an enrolment that was refused or held. */
export function enrolmentProblem(appraisal: Appraisal): Problem {
  if (appraisal.verdict !== 'hold') return evidenceProblem(appraisal);
  const { verdict, reasons, notes } = appraisal;
  const detail = reasons.map(({ message }) => message).join('; ');
  return new Problem('enrolment-held', detail, {
    members: { verdict, reasons: [...reasons], notes: [...notes] },
  });
}

/**
 * The same TPM with another attestation key: a rotation that an operator began, or something that made its own
 * key in a machine of ours. A certified node proves with a certificate that it is still in the same chip.
 */
function findAkFault(enrolment: EnrolmentRecord, known: NodeRecord): Finding | undefined {
  if (!changesAk(enrolment, known)) return undefined;
  if (!known.akMayChange)
    return {
      code: 'ak-changed',
      message: `node ${known.id} has attestation key ${known.akName}, and comes with ${enrolment.akName}`,
    };
  const certified = enrolment.credentials.some(({ identity }) => identity === 'certified');
  if (certified || known.identity !== 'certified') return undefined;
  return {
    code: 'ak-changed',
    message: `node ${known.id} is certified, and comes with another attestation key but without a certificate`,
  };
}
