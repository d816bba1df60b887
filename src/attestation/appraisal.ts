import { asciiBytes, fromHex } from '../core/bytes.ts';
import { toPrintableLines } from '../core/printable.ts';
import { parseTpmsAttest } from '../tpm/attest.ts';
import { checkClaims } from './evidence/check-claims.ts';
import { type Claims, type Health, parseClaims } from './evidence/claims.ts';
import { encodeEvidenceDocument } from './evidence/evidence-file.ts';
import { computeExtraData } from './evidence/extra-data.ts';
import type { UntrustedFloorCertificate } from './floor/floor-certification.ts';
import { pinFloorIndex } from './floor/floor-pinning.ts';
import {
  channelHashOf,
  type FloorRecord,
  type FloorVersions,
  parseFloorRecord,
  versionsOf,
} from './floor/floor-record.ts';
import type { FloorReference } from './floor/floor-rule.ts';
import { loadAttestationKey } from './keys/attestation-key.ts';
import type { Admission, ClaimedStage0, Identity, NodeSession, PlatformState, TpmCounters } from './node.ts';
import { appraiseState } from './policy/appraise-state.ts';
import type { Baseline, FirmwareApproval } from './policy/baseline.ts';
import {
  evidencePolicyOf,
  isAfterHandover,
  offlinePolicyOf,
  type PolicyContext,
} from './policy/evidence-policy.ts';
import type { Policy } from './policy/policy.ts';
import type { Stage0Match, Stage0Reference } from './policy/stage0-matching.ts';
import type { Purpose } from './quote/purpose.ts';
import type { BootSession } from './quote/purpose-rule.ts';
import { concludeFrom, type Finding, findingOf } from './reasons.ts';
import { type UntrustedEvidence, verifyEvidence } from './verify.ts';

/** Plain data: it is sent to the thread that decides. */
export interface AppraisalInput {
  /** Of the stored challenge, never of the request. */
  purpose: Purpose;
  /** The compact JWS, as it was sent. */
  challenge: string;
  untrustedClaims: Uint8Array;
  untrustedEvidence: SubmittedEvidence;
  /** Text of the boot before, or of the health checks. */
  untrustedReport?: Uint8Array;
  /** All of it from the store, never from the request. */
  attester: Attester;
  connection: {
    /** SubjectPublicKeyInfo of the client certificate on this connection. */
    clientSpki: Uint8Array;
    /** Hex SHA-256 of every key that this service answers agents with. */
    serverKeys: readonly string[];
  };
  stage0References: readonly Stage0Reference[];
  /** Of what the node's channel releases; absent where it releases nothing. */
  architecture?: string;
  /** The node's; without one no floor is judged. */
  channel?: string;
  /** Of the metadata in force; absent where the channel is not among them. */
  publishedFloor?: FloorVersions;
  policy: Policy;
  /** Those whose scope covers this node. */
  firmwareApprovals: readonly FirmwareApproval[];
  nowSeconds: number;
}

/** As it is on the wire: which NV index a floor must be of is for this side to know. */
export type SubmittedEvidence = Omit<UntrustedEvidence, 'floor'> & { floor?: UntrustedFloorCertificate };

export interface Attester {
  /** TPMT_PUBLIC. */
  akPublic: Uint8Array;
  ekFingerprints: readonly string[];
  identity: Identity;
  admission: Admission;
  romAsserted: boolean;
  counters?: TpmCounters;
  session?: NodeSession;
  baseline?: Baseline;
  floor?: FloorRecord;
  floorExpected?: boolean;
  floorMissed?: number;
}

export interface Appraisal {
  verdict: 'accept' | 'refuse' | 'hold';
  reasons: readonly Finding[];
  notes: readonly Finding[];
  /**
   * The TPM signed a quote over exactly this challenge and these claims, and they came from where they say: what is
   * wrong with the rest is the node's own doing. Anybody can send evidence that is not authentic.
   */
  authentic: boolean;
  /** What the PCRs mean; only for evidence that was accepted. */
  accepted?: {
    state: PlatformState;
    counters: TpmCounters;
    /** Absent where policy doesn't ask the PCRs which stage-0 was started. */
    stage0?: Stage0Match;
    /** There instead, and no fact. */
    claimedStage0?: ClaimedStage0;
    /** To be kept as the node's own: its first, or what an operator approved. */
    baseline?: Baseline;
    /** Id of the approval without which this firmware would be held. */
    firmwareApproval?: number;
    /** What the node's TPM keeps, where it showed one. */
    floor?: FloorRecord;
    /** Of purpose `health`: what the machine's own checks said. */
    health?: Health;
    /** Printable lines. */
    report?: string;
  };
}

/**
 * The whole decision on one piece of evidence: what the node claims, the TPM's quote over it, which published
 * stage-0 the quoted PCRs belong to, and what the policy says to all that. Never throws for anything a node can send.
 */
export function appraise(input: AppraisalInput): Appraisal {
  const claims = readClaims(input.untrustedClaims);
  if ('fault' in claims) return refuse([claims.fault]);
  const claimFaults = checkClaims(claims.claims, input);
  if (claimFaults.length > 0) return refuse(claimFaults);

  const { attester, purpose } = input;
  const session = bootSessionOf(input);
  const context = contextOf(input);
  const untrustedEvidence = pinnedEvidenceOf(input);
  const outcome = verifyEvidence({
    ak: loadAttestationKey(attester.akPublic),
    expectedExtraData: computeExtraData(bindingOf(input)),
    untrustedEvidence,
    purpose,
    ...(session && { session }),
    ...(attester.counters && { previous: attester.counters }),
    policy: evidencePolicyOf(context),
  });
  const { reasons, notes, quote } = outcome;
  if (quote === undefined) return { verdict: outcome.verdict, reasons, notes, authentic: false };
  if (outcome.verdict === 'refuse') return { verdict: 'refuse', reasons, notes, authentic: true };
  const state = appraiseState({ ...context, ...input, quote, claimedBuild: claims.claims.stage0Build });
  const conclusion = concludeFrom([...reasons, ...notes, ...state.findings]);
  if (conclusion.verdict !== 'accept') return { ...conclusion, authentic: true };
  const { counters } = quote;
  const told = { ...floorIn(untrustedEvidence, context), ...wordsOf(claims.claims, input) };
  return { ...conclusion, authentic: true, accepted: { ...state.meaning, ...told, counters } };
}

/** The evidence file of this input: anyone can hold the same checklist against it later. */
export function evidenceDocumentOf(input: AppraisalInput): string {
  const { attester, purpose } = input;
  const binding = bindingOf(input);
  const session = bootSessionOf(input);
  return encodeEvidenceDocument({
    ...pinnedEvidenceOf(input),
    akPublic: attester.akPublic,
    expectedExtraData: computeExtraData(binding),
    policy: offlinePolicyOf(contextOf(input)),
    purpose,
    binding,
    ...(session && { session }),
    ...(attester.counters && { previous: attester.counters }),
  });
}

function contextOf({ attester, ...input }: AppraisalInput): PolicyContext {
  const { session, baseline } = attester;
  const floorReference = floorReferenceOf({ ...input, attester });
  return {
    policy: input.policy,
    purpose: input.purpose,
    firmwareApprovals: input.firmwareApprovals,
    stage0References: input.stage0References,
    ...(session && { session }),
    ...(baseline && { baseline }),
    ...(floorReference && { floorReference }),
  };
}

/** At its enrolment nothing is known of a machine that a floor could be held against. */
function floorReferenceOf(input: AppraisalInput): FloorReference | undefined {
  const { purpose, attester, channel, publishedFloor } = input;
  if (channel === undefined || purpose === 'enrol') return undefined;
  const seen = attester.floor;
  return {
    required: seen !== undefined || isFirstFloorDue(input),
    channelHash: channelHashOf(channel),
    ...(seen && { lowest: versionsOf(seen) }),
    ...(publishedFloor && { published: publishedFloor }),
  };
}

/** Power may fail between a hand-over and the first write of the record; root that deletes it each time looks the same. */
const MAX_MISSED_FLOORS = 3;

function isFirstFloorDue({ purpose, attester, untrustedEvidence }: AppraisalInput): boolean {
  const { floorExpected = false, floorMissed = 0, session } = attester;
  if (!floorExpected) return false;
  if (isAfterHandover(purpose)) return true;
  return (
    floorMissed > MAX_MISSED_FLOORS && claimedResetCount(untrustedEvidence.attest) !== session?.resetCount
  );
}

/** Of a quote that nobody has verified yet: where it is none, nothing else counts. */
function claimedResetCount(untrustedQuote: Uint8Array): number | undefined {
  try {
    return parseTpmsAttest(untrustedQuote).clockInfo.resetCount;
  } catch {
    return undefined;
  }
}

/** A record counts under the Name that it has before the hand-over, or after it. */
function pinnedEvidenceOf({
  purpose,
  untrustedEvidence,
  stage0References,
}: AppraisalInput): UntrustedEvidence {
  const { floor: untrustedFloor, ...rest } = untrustedEvidence;
  if (untrustedFloor === undefined) return rest;
  const floorKeys = stage0References.flatMap(({ floorKey }) => floorKey ?? []);
  const form = isAfterHandover(purpose) ? 'locked' : 'unlocked';
  const floor = pinFloorIndex(untrustedFloor, { floorKeys, form });
  return floor ? { ...rest, floor } : rest;
}

function floorIn({ floor }: UntrustedEvidence, context: PolicyContext): { floor?: FloorRecord } {
  return floor && context.floorReference ? { floor: parseFloorRecord(floor.contents) } : {};
}

const MAX_REPORT_CHARACTERS = 16 * 1024;

function wordsOf(
  { purpose, health = 'healthy' }: Claims,
  { untrustedReport }: AppraisalInput,
): { health?: Health; report?: string } {
  const text = untrustedReport && new TextDecoder().decode(untrustedReport);
  return {
    ...(purpose === 'health' && { health }),
    ...(text !== undefined && { report: toPrintableLines(text, MAX_REPORT_CHARACTERS) }),
  };
}

function bootSessionOf({ purpose, attester: { session } }: AppraisalInput): BootSession | undefined {
  if (session === undefined || !isAfterHandover(purpose)) return undefined;
  const { releaseDigest, resetCount, restartCount } = session;
  return { releaseDigest: fromHex(releaseDigest), resetCount, restartCount };
}

function bindingOf(input: AppraisalInput) {
  return { challenge: asciiBytes(input.challenge), claims: input.untrustedClaims };
}

function readClaims(bytes: Uint8Array): { claims: Claims } | { fault: Finding } {
  try {
    return { claims: parseClaims(bytes) };
  } catch (cause) {
    return { fault: findingOf(cause) };
  }
}

function refuse(reasons: readonly Finding[]): Appraisal {
  return { verdict: 'refuse', reasons, notes: [], authentic: false };
}
