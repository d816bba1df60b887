import type { Appraisal } from '../../attestation/appraisal.ts';
import type { ChallengeFault, ChallengeRecord, VerdictRecord } from '../../attestation/attestation-store.ts';
import type { NodeRecord } from '../../attestation/node.ts';
import { Problem } from '../problems.ts';

const SPENT: Readonly<Record<ChallengeFault, string>> = {
  'challenge-unknown': 'this server did not issue that challenge, or long ago: ask for a new one',
  'challenge-expired': 'the challenge has expired: ask for a new one',
  'nonce-consumed': 'the challenge was answered before: ask for a new one',
};

/** The decision on evidence whose challenge is not good any more, whatever else is in it. */
export function spentChallenge(fault: ChallengeFault): Appraisal {
  return {
    verdict: 'refuse',
    reasons: [{ code: fault, message: SPENT[fault] }],
    notes: [],
    authentic: false,
  };
}

/** What a node hears of evidence that was not accepted. */
export function evidenceProblem({ verdict, reasons, notes }: Appraisal): Problem {
  const detail = reasons[0]?.message ?? 'the evidence was not accepted';
  const code = verdict === 'hold' ? 'evidence-held' : 'evidence-refused';
  return new Problem(code, detail, { members: { verdict, reasons: [...reasons], notes: [...notes] } });
}

/** What the server keeps of a decision. */
export function verdictRecord(of: {
  challenge: ChallengeRecord;
  /** Absent when the decision left no node behind. */
  node: Pick<NodeRecord, 'id' | 'identity' | 'admission'> | undefined;
  appraisal: Appraisal;
  evidenceDocument?: string;
  atSeconds: number;
}): VerdictRecord {
  const { challenge, node, appraisal, evidenceDocument, atSeconds } = of;
  const { accepted } = appraisal;
  return {
    akName: challenge.akName,
    purpose: challenge.purpose,
    verdict: appraisal.verdict,
    reasons: appraisal.reasons,
    notes: appraisal.notes,
    ...(node && { nodeId: node.id }),
    ...(node &&
      accepted && {
        facts: { identity: node.identity, admission: node.admission, state: accepted.state },
      }),
    ...(evidenceDocument !== undefined && { evidenceDocument }),
    atSeconds,
  };
}
