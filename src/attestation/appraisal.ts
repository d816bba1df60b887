import { asciiBytes, bytesEqual, EMPTY, fromHex, sha256 } from '../core/bytes.ts';
import { shortHex } from '../core/printable.ts';
import { type Claims, parseClaims } from './evidence/claims.ts';
import { encodeEvidenceDocument } from './evidence/evidence-file.ts';
import { computeExtraData } from './evidence/extra-data.ts';
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
  untrustedEvidence: UntrustedEvidence;
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
  policy: Policy;
  /** Those whose scope covers this node. */
  firmwareApprovals: readonly FirmwareApproval[];
  nowSeconds: number;
}

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
  const outcome = verifyEvidence({
    ak: loadAttestationKey(attester.akPublic),
    expectedExtraData: computeExtraData(bindingOf(input)),
    untrustedEvidence: input.untrustedEvidence,
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
  return { ...conclusion, authentic: true, accepted: { ...state.meaning, counters } };
}

/** The evidence file of this input: anyone can hold the same checklist against it later. */
export function evidenceDocumentOf(input: AppraisalInput): string {
  const { attester, purpose, untrustedEvidence } = input;
  const binding = bindingOf(input);
  const session = bootSessionOf(input);
  return encodeEvidenceDocument({
    ...untrustedEvidence,
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
  return {
    policy: input.policy,
    purpose: input.purpose,
    firmwareApprovals: input.firmwareApprovals,
    stage0References: input.stage0References,
    ...(session && { session }),
    ...(baseline && { baseline }),
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

/** Each claim is bound into the quote; here it is held against what this side knows for itself. */
function checkClaims(claims: Claims, input: AppraisalInput): Finding[] {
  const { connection, attester, untrustedEvidence } = input;
  const logDigest = sha256(untrustedEvidence.eventLog ?? EMPTY);
  return [
    claims.purpose === input.purpose
      ? undefined
      : finding(
          'purpose-mismatch',
          `the challenge asked for ${input.purpose}, the claims say ${claims.purpose}`,
        ),
    connection.serverKeys.includes(claims.serverKey)
      ? undefined
      : finding(
          'server-key-mismatch',
          `the node saw server key ${short(claims.serverKey)}, ours are ${connection.serverKeys.map(short).join(', ')}: somebody is in between`,
        ),
    attester.ekFingerprints.includes(claims.ekFingerprint)
      ? undefined
      : finding(
          'claims-ek-mismatch',
          `the claims name endorsement key ${short(claims.ekFingerprint)}, expected ${attester.ekFingerprints.map(short).join(' or ')}`,
        ),
    bytesEqual(claims.ephemeralKey, connection.clientSpki)
      ? undefined
      : finding(
          'ephemeral-key-mismatch',
          `the connection proves key ${shortHex(sha256(connection.clientSpki))}, the claims name ${shortHex(sha256(claims.ephemeralKey))}`,
        ),
    bytesEqual(fromHex(claims.eventLogSha256), logDigest)
      ? undefined
      : finding(
          'claims-event-log-mismatch',
          `the claims name event log ${short(claims.eventLogSha256)}, the one that came is ${shortHex(logDigest)}`,
        ),
  ].filter((fault) => fault !== undefined);
}

/** Of a digest in hex. */
function short(hex: string): string {
  return shortHex(fromHex(hex));
}

function finding(code: Finding['code'], message: string): Finding {
  return { code, message };
}

function refuse(reasons: readonly Finding[]): Appraisal {
  return { verdict: 'refuse', reasons, notes: [], authentic: false };
}
