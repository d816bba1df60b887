import { type HashAlgorithm, hashByName } from '../tpm/algorithms.ts';
import { appraiseEventLog } from './event-log/event-log-appraisal.ts';
import { checkFloorCertificate, type UntrustedFloor } from './floor/floor-certification.ts';
import { checkFloorRecord, type FloorReference } from './floor/floor-rule.ts';
import type { AttestationKey } from './keys/attestation-key.ts';
import type { TpmCounters } from './node.ts';
import { checkFirmware, type FirmwareReference } from './policy/firmware-rule.ts';
import {
  checkReferenceValues,
  checkStage0Values,
  type ReferenceValue,
  type Stage0Values,
} from './policy/reference-values.ts';
import { checkSecureBoot, type SecureBootPolicy } from './policy/secure-boot.ts';
import { checkCounters } from './quote/counters.ts';
import type { PcrValues } from './quote/pcr-values.ts';
import type { Purpose } from './quote/purpose.ts';
import { type BootSession, checkPurpose } from './quote/purpose-rule.ts';
import { type VerifiedQuote, verifyQuote } from './quote/quote.ts';
import { concludeFrom, type Finding, findingOf, Refusal, type VerdictKind } from './reasons.ts';

/** As a node sent it: nothing in here is believed before the checklist is through. */
export interface UntrustedEvidence {
  /** TPMS_ATTEST */
  attest: Uint8Array;
  /** TPMT_SIGNATURE */
  signature: Uint8Array;
  pcrs: PcrValues;
  /** The firmware's log as it stands in memory; absent where firmware has none. */
  eventLog?: Uint8Array;
  floor?: UntrustedFloor;
}

export interface EvidencePolicy {
  bank: string;
  /** At least one, and at least these must be quoted. */
  pcrs: readonly number[];
  eventLog: 'required' | 'optional';
  referenceValues: readonly ReferenceValue[];
  /** For each image that may have been started. The server asks its list, which can say more; a file has these. */
  stage0?: readonly Stage0Values[];
  /** PCRs that a running system may extend without an entry in firmware's log: their own rules judge them. */
  unloggedPcrs?: readonly number[];
  firmware?: FirmwareReference;
  /** There where Secure Boot is required; it is judged where a log came, for nothing else proves it. */
  secureBoot?: SecureBootPolicy;
  /** Without one, a record that comes must be certified, and says nothing. */
  floor?: FloorReference;
}

export interface VerifyEvidenceInput {
  /** From the store, never from the request. */
  ak: AttestationKey;
  /** {@link computeExtraData} of the challenge as sent and the claims as received. */
  expectedExtraData: Uint8Array;
  untrustedEvidence: UntrustedEvidence;
  policy: EvidencePolicy;
  /** Without one, PCR 14 is a PCR like any other. */
  purpose?: Purpose;
  /** For `health` and `reattest`. */
  session?: BootSession;
  /** Of the last accepted evidence of this AK. */
  previous?: TpmCounters;
}

export interface EvidenceVerdict {
  verdict: VerdictKind;
  reasons: Finding[];
  notes: Finding[];
  /** What the event log gives for the policy's bank; empty without a usable log. */
  replayedPcrs: ReadonlyMap<number, Uint8Array>;
  /** Present as soon as the quote itself is authentic, also when the verdict is not `accept`. */
  quote?: VerifiedQuote;
}

/** SHA-1 is broken, and the others are not what any TPM of ours extends. */
const ACCEPTED_BANKS: readonly string[] = ['sha256', 'sha384', 'sha512'];

/**
 * The checklist (docs/architecture.md, "Attest and boot"). Never throws: a fault of our own refuses too,
 * so that no exception can leave a node attested (Q55).
 */
export function verifyEvidence(input: VerifyEvidenceInput): EvidenceVerdict {
  try {
    return runChecklist(input);
  } catch (cause) {
    return { ...concludeFrom([findingOf(cause)]), replayedPcrs: new Map() };
  }
}

function runChecklist(input: VerifyEvidenceInput): EvidenceVerdict {
  const { ak, expectedExtraData, untrustedEvidence, policy, purpose, session, previous } = input;
  const hash = bankOf(policy);

  const quote = verifyQuote({ ak, expectedExtraData, untrusted: untrustedEvidence, policy });
  const log = appraiseEventLog({ untrustedLog: untrustedEvidence.eventLog, quote, hash, purpose, policy });
  const findings = [
    ...checkPurpose(quote, purpose, session),
    ...checkCounters(quote, previous),
    ...log.findings,
    ...(log.log && policy.secureBoot
      ? checkSecureBoot({ log: log.log, hash, quote, policy: policy.secureBoot })
      : []),
    ...checkReferenceValues(quote, policy.referenceValues),
    ...(policy.stage0 ? checkStage0Values(quote, policy.stage0) : []),
    ...(policy.firmware
      ? checkFirmware({ quote, hash, reference: policy.firmware, log: untrustedEvidence.eventLog })
      : []),
    ...checkFloor(input, quote),
  ];
  return { ...concludeFrom(findings), replayedPcrs: log.replayedPcrs, quote };
}

/** What a record says counts only when the TPM said it now. */
function checkFloor(
  { ak, expectedExtraData, untrustedEvidence: { floor }, policy }: VerifyEvidenceInput,
  quote: VerifiedQuote,
): Finding[] {
  const faults = checkFloorCertificate(floor, { ak, expectedExtraData, quote });
  if (faults.length > 0 || policy.floor === undefined) return faults;
  return checkFloorRecord(floor?.contents, policy.floor);
}

function bankOf({ bank, pcrs }: EvidencePolicy): HashAlgorithm {
  const hash = ACCEPTED_BANKS.includes(bank) ? hashByName(bank) : undefined;
  if (hash === undefined)
    throw new Refusal(
      'bank-not-accepted',
      `policy: bank ${bank}, expected one of ${ACCEPTED_BANKS.join(', ')}`,
    );
  if (pcrs.length === 0) throw new Refusal('selection-empty', 'policy: it names no PCR');
  return hash;
}
