import { bytesEqual } from '../../core/bytes.ts';
import type { Attester } from '../appraisal.ts';
import { parseClaims } from '../evidence/claims.ts';
import type { EvidenceFields } from '../evidence/evidence-fields.ts';
import { readEvidenceDocument } from '../evidence/evidence-file.ts';
import { loadAttestationKey } from '../keys/attestation-key.ts';
import { concludeFrom, type Finding, findingOf, Refusal, type VerdictKind } from '../reasons.ts';
import { verifyEvidence } from '../verify.ts';
import { appraiseState } from './appraise-state.ts';
import type { FirmwareApproval } from './baseline.ts';
import { evidencePolicyOf } from './evidence-policy.ts';
import type { Policy } from './policy.ts';
import type { Stage0Reference } from './stage0-matching.ts';

/**
 * What a policy would have said to evidence that was kept, as if it came now: nothing is asked about connection,
 * challenge or counters, which were judged when it came.
 */
export function appraiseRecorded(given: {
  /** An evidence file of this node, as this server wrote it. */
  evidenceDocument: string;
  policy: Policy;
  attester: Attester;
  firmwareApprovals: readonly FirmwareApproval[];
  stage0References: readonly Stage0Reference[];
  nowSeconds: number;
}): { verdict: VerdictKind; reasons: Finding[]; notes: Finding[] } {
  try {
    const fields = readEvidenceDocument(given.evidenceDocument);
    if (!bytesEqual(fields.akPublic, given.attester.akPublic))
      throw new Refusal('ak-mismatch', 'the evidence is of an attestation key that this node no longer has');
    return appraiseFields(fields, given);
  } catch (cause) {
    return concludeFrom([findingOf(cause)]);
  }
}

function appraiseFields(fields: EvidenceFields, given: Parameters<typeof appraiseRecorded>[0]) {
  const { attester } = given;
  const { purpose, binding, expectedExtraData, session } = fields;
  if (purpose === undefined || binding === undefined)
    throw new Refusal('evidence-malformed', 'the evidence names no purpose or holds no claims');
  const context = { ...given, ...attester, purpose };
  const outcome = verifyEvidence({
    ak: loadAttestationKey(fields.akPublic),
    expectedExtraData,
    untrustedEvidence: fields,
    purpose,
    ...(session && { session }),
    policy: evidencePolicyOf(context),
  });
  const { reasons, notes, quote, verdict } = outcome;
  if (quote === undefined || verdict === 'refuse') return { verdict, reasons, notes };
  const claimedBuild = parseClaims(binding.claims).stage0Build;
  const { findings } = appraiseState({ ...context, untrustedEvidence: fields, quote, claimedBuild });
  return concludeFrom([...reasons, ...notes, ...findings]);
}
