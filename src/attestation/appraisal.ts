import { asciiBytes, bytesEqual, EMPTY, fromHex, sha256, toHex } from '../core/bytes.ts';
import { shortHex } from '../core/printable.ts';
import { type Claims, parseClaims } from './evidence/claims.ts';
import { encodeEvidenceDocument } from './evidence/evidence-file.ts';
import { computeExtraData } from './evidence/extra-data.ts';
import { loadAttestationKey } from './keys/attestation-key.ts';
import type { PlatformState, TpmCounters } from './node.ts';
import { type ChannelPolicy, evidencePolicyOf, offlinePolicyOf } from './policy/channel-policy.ts';
import { identifyStage0, type Stage0Match, type Stage0Reference } from './policy/stage0-matching.ts';
import type { Purpose } from './quote/purpose.ts';
import type { VerifiedQuote } from './quote/quote.ts';
import { type Finding, Refusal } from './reasons.ts';
import { type UntrustedEvidence, verifyEvidence } from './verify.ts';

export interface AppraisalInput {
  /** Of the stored challenge, never of the request. */
  purpose: Purpose;
  /** The compact JWS, as it was sent. */
  challenge: string;
  untrustedClaims: Uint8Array;
  untrustedEvidence: UntrustedEvidence;
  attester: {
    /** TPMT_PUBLIC from the store. */
    akPublic: Uint8Array;
    ekFingerprints: readonly string[];
    counters?: TpmCounters;
  };
  connection: {
    /** SubjectPublicKeyInfo of the client certificate on this connection. */
    clientSpki: Uint8Array;
    /** Hex SHA-256 of every key that this service answers agents with. */
    serverKeys: readonly string[];
  };
  stage0References: readonly Stage0Reference[];
  policy: ChannelPolicy;
}

export interface Appraisal {
  verdict: 'accept' | 'refuse' | 'hold';
  reasons: readonly Finding[];
  notes: readonly Finding[];
  /** What the PCRs mean; only for evidence that was accepted. */
  accepted?: { state: PlatformState; counters: TpmCounters; stage0: Stage0Match };
}

/**
 * The whole decision on one piece of evidence: what the node claims, the TPM's quote over it, and which
 * published stage-0 the quoted PCRs belong to. Never throws for anything a node can send.
 */
export function appraise(input: AppraisalInput): Appraisal {
  const claims = readClaims(input.untrustedClaims);
  if ('fault' in claims) return refuse([claims.fault]);
  const claimFaults = checkClaims(claims.claims, input);
  if (claimFaults.length > 0) return refuse(claimFaults);

  const outcome = verifyEvidence({
    ak: loadAttestationKey(input.attester.akPublic),
    expectedExtraData: computeExtraData(bindingOf(input)),
    untrustedEvidence: input.untrustedEvidence,
    purpose: input.purpose,
    ...(input.attester.counters && { previous: input.attester.counters }),
    policy: evidencePolicyOf(input.policy),
  });
  const { reasons, notes, quote } = outcome;
  if (outcome.verdict !== 'accept' || quote === undefined)
    return { verdict: outcome.verdict, reasons, notes };
  return appraiseStage0({ input, claims: claims.claims, quote, notes });
}

/** The evidence file of this input: anyone can hold the same checklist against it later. */
export function evidenceDocumentOf(input: AppraisalInput): string {
  const { attester, purpose, untrustedEvidence } = input;
  const binding = bindingOf(input);
  return encodeEvidenceDocument({
    ...untrustedEvidence,
    akPublic: attester.akPublic,
    expectedExtraData: computeExtraData(binding),
    policy: offlinePolicyOf(input.policy, input.stage0References),
    purpose,
    binding,
    ...(attester.counters && { previous: attester.counters }),
  });
}

function bindingOf(input: AppraisalInput) {
  return { challenge: asciiBytes(input.challenge), claims: input.untrustedClaims };
}

/** Only quoted PCRs reach this: their values are the TPM's word. */
function appraiseStage0(on: {
  input: AppraisalInput;
  claims: Claims;
  quote: VerifiedQuote;
  notes: readonly Finding[];
}): Appraisal {
  const { input, claims, quote, notes } = on;
  const identified = identifyStage0(
    { pcr4: pcrOf(quote, 4), pcr11: pcrOf(quote, 11) },
    input.stage0References,
  );
  if ('fault' in identified) return refuse([identified.fault], notes);
  const { match } = identified;
  if (claims.stage0Build !== match.reference.build)
    return refuse([
      finding(
        'claims-stage0-mismatch',
        `the node says it runs stage-0 build ${claims.stage0Build}, its PCRs say build ${match.reference.build}`,
      ),
    ]);
  if (!match.secureBoot && input.policy.secureBoot === 'required')
    return refuse([finding('secure-boot-required', 'PCR 4: firmware started stage-0 without verifying it')]);
  const secureBootNotes = match.secureBoot
    ? []
    : [finding('secure-boot-off', 'firmware started stage-0 without verifying it')];
  return {
    verdict: 'accept',
    reasons: [],
    notes: [...notes, ...secureBootNotes],
    accepted: {
      state: input.untrustedEvidence.eventLog === undefined ? 'self-reported' : 'measured',
      counters: quote.counters,
      stage0: match,
    },
  };
}

function readClaims(bytes: Uint8Array): { claims: Claims } | { fault: Finding } {
  try {
    return { claims: parseClaims(bytes) };
  } catch (cause) {
    if (cause instanceof Refusal) return { fault: cause.finding };
    throw cause;
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

function refuse(reasons: readonly Finding[], notes: readonly Finding[] = []): Appraisal {
  return { verdict: 'refuse', reasons, notes };
}

function pcrOf(quote: VerifiedQuote, pcr: number): string {
  return toHex(quote.pcrs.get(pcr) ?? EMPTY);
}
