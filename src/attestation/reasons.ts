import { CodedError } from '../core/errors.ts';

export type ReasonKind = 'refuse' | 'hold' | 'note';

interface ReasonDefinition {
  kind: ReasonKind;
  /** One line for an operator; the finding's own message says what was expected and what came. */
  meaning: string;
}

const refuse = (meaning: string) => ({ kind: 'refuse', meaning }) as const;
const hold = (meaning: string) => ({ kind: 'hold', meaning }) as const;
const note = (meaning: string) => ({ kind: 'note', meaning }) as const;

/** The one closed table of reason codes. Once released a code is never renamed and never changes its kind. */
export const REASONS = {
  // The document and the exchange around it
  'evidence-unreadable': refuse('The input is not JSON, not an object, or of another format.'),
  'evidence-malformed': refuse('A field of the evidence is missing, unknown, or not what it must be.'),
  'evidence-too-large': refuse('The evidence is longer than this verifier reads.'),
  'challenge-unknown': refuse('This service never sent that challenge, or has forgotten it.'),
  'challenge-expired': refuse('The evidence came after the challenge had expired.'),
  'nonce-consumed': refuse('The challenge has been answered already; each is good for one answer.'),
  'purpose-mismatch': refuse('Challenge, claims and request do not name the same purpose.'),
  'ak-mismatch': refuse('The challenge was made for another attestation key.'),
  'verification-failed': refuse('The verifier itself failed on this evidence: report it as a bug.'),

  // What the node says (claims)
  'claims-malformed': refuse('The claims are not the JSON object that the protocol defines.'),
  'claims-event-log-mismatch': refuse('The event log is not the one that the claims name by hash.'),
  'claims-ek-mismatch': refuse('The claims name an endorsement key that is not of this node.'),
  'claims-stage0-mismatch': refuse('The claims name another stage-0 build than the PCRs do.'),
  'server-key-mismatch': refuse('The node saw a server key that is not ours: a relay or a stale challenge.'),
  'ephemeral-key-mismatch': refuse('The connection uses another key than the quoted claims name.'),

  // The attestation key
  'ak-malformed': refuse('The attestation key is not a TPM public area that we read.'),
  'ak-not-restricted': refuse('The key may sign anything, so a quote from it proves nothing.'),
  'ak-not-signing': refuse('The key has no sign attribute.'),
  'ak-decrypts': refuse('The key may decrypt; an attestation key only signs.'),
  'ak-not-fixed-tpm': refuse('The key may be duplicated to another TPM.'),
  'ak-not-fixed-parent': refuse('The key may be moved below another parent.'),
  'ak-imported': refuse('The TPM did not make this key (sensitiveDataOrigin is clear).'),
  'ak-symmetric-set': refuse('A signing key names a symmetric algorithm.'),
  'ak-scheme-unset': refuse('The key fixes no signature scheme.'),
  'ak-hash-weak': refuse('The key signs with, or is named by, a hash that is too weak.'),
  'ak-key-weak': refuse('The key is too short or has a weak exponent.'),
  'ak-not-template': refuse('The key is not the ECC P-256 ECDSA-SHA256 key that the protocol asks for.'),

  // The quote
  'attest-malformed': refuse('The attestation is not a TPMS_ATTEST that a TPM made.'),
  'attest-not-quote': refuse('The TPM signed something else than a quote.'),
  'extra-data-mismatch': refuse('The quote answers another challenge, or covers other claims.'),
  'signature-malformed': refuse('The signature is not a TPMT_SIGNATURE that we read.'),
  'signature-scheme-mismatch': refuse('Signature scheme or hash are not those of the attestation key.'),
  'signature-invalid': refuse('The attestation key did not sign this.'),
  'selection-empty': refuse('The quote covers no PCR, or selects none in a bank it names.'),
  'selection-duplicate-bank': refuse('The quote selects one bank twice.'),
  'selection-bank-missing': refuse('The quote does not cover the bank that policy asks for.'),
  'selection-incomplete': refuse('The quote covers fewer PCRs than policy asks for.'),
  'bank-not-accepted': refuse('Policy asks for a PCR bank whose hash is too weak or unknown.'),
  'pcr-value-missing': refuse('A quoted PCR came without its value.'),
  'pcr-value-unquoted': refuse('A PCR value came that the quote does not cover.'),
  'pcr-digest-mismatch': refuse('The PCR values are not the ones that were quoted.'),

  // What the PCRs say
  'pcr14-not-zero': refuse('Something was extended into PCR 14: this is not stage-0 before its hand-over.'),
  'pcr14-not-release': refuse('PCR 14 is not exactly one extend of the granted release.'),
  'session-missing': refuse('Health evidence needs the boot session that it belongs to.'),
  'session-mismatch': refuse('The TPM was reset or restarted since the boot that this evidence speaks of.'),
  'pcr-mismatch': refuse('A PCR is none of the values that policy accepts.'),
  'pcrs-not-extended': refuse('No quoted PCR was ever extended: nothing measured anything in this bank.'),
  'reference-unusable': refuse('Policy gives reference values for a PCR that is not quoted, or gives none.'),
  'stage0-not-listed': refuse('What firmware started is not a listed stage-0.'),
  'stage0-withdrawn': refuse('What firmware started is a stage-0 that is no longer listed.'),
  'secure-boot-required': refuse('Policy wants Secure Boot and the machine started without it.'),

  // The event log
  'event-log-missing': refuse('Policy wants the event log and none came.'),
  'event-log-malformed': refuse('The event log is not a TCG crypto-agile log.'),
  'event-log-too-large': refuse('The event log has more bytes or events than this verifier reads.'),
  'event-log-sha1-format': refuse(
    'The event log has the old SHA-1 format and proves nothing about other banks.',
  ),
  'event-log-bank-missing': refuse(
    'The event log has no digests for the quoted bank, or not for every event.',
  ),
  'event-log-replay-mismatch': refuse('Replaying the event log does not give the quoted PCR values.'),
  'event-log-data-mismatch': refuse('An event is not what its digest covers.'),
  'event-log-separator-missing': refuse(
    'A firmware PCR has no separator: the log is cut, or firmware was left early.',
  ),
  'event-log-separator-duplicate': refuse('A firmware PCR has more than one separator.'),
  'event-log-separator-invalid': refuse('A separator reports a firmware error or holds an undefined value.'),
  'event-log-type-unexpected': refuse('An event of this type does not belong in this PCR.'),
  'event-log-no-action-invalid': refuse(
    'An EV_NO_ACTION event has a digest, or is one that may not stand there.',
  ),

  // Clocks and counters
  'counters-went-back': hold(
    'TPM reset counters are lower than before: a clone, a restored state, or a cleared TPM.',
  ),
  'clock-went-back': hold('The TPM clock is lower than before within one power cycle.'),
  'firmware-version-changed': hold("The TPM's firmware version changed since the last accepted evidence."),
  'clock-not-safe': note('The TPM clock may have run back after an unorderly shutdown.'),

  // The floor record
  'floor-malformed': refuse('The floor record or its certification is not what it must be.'),
  'floor-signature-invalid': refuse('The floor was not certified by the attestation key.'),
  'floor-extra-data-mismatch': refuse('The floor was certified for another challenge.'),
  'floor-index-mismatch': refuse('Another NV index was certified, or one that was never written.'),
  'floor-contents-mismatch': refuse('The floor record is not what was certified.'),
  'floor-session-mismatch': refuse('The floor was certified in another power cycle than the quote.'),

  // The endorsement key's certificate
  'ek-certificate-malformed': refuse('The EK certificate is not one that we can read.'),
  'ek-certificate-key-unsupported': refuse(
    'The EK certificate carries its key in a form that we do not take.',
  ),
  'ek-certificate-key-mismatch': refuse('The EK certificate is for another key than the one presented.'),
  'ek-key-unsuitable': refuse('The endorsement key is not the restricted storage key that it must be.'),
  'ek-key-weak': refuse('The endorsement key is too short or has a weak exponent.'),
  'key-roca': refuse('An RSA key can be factored (ROCA, CVE-2017-15361): the TPM or CA must get a new one.'),
  'ek-certificate-purpose': refuse('The certificate is not for an endorsement key (EKU 2.23.133.8.1).'),
  'ek-certificate-is-ca': refuse('A CA certificate was presented as an EK certificate.'),
  'ek-certificate-key-usage': refuse('Key usage of the EK certificate does not allow what an EK does.'),
  'ek-certificate-extension': refuse(
    'The EK certificate has a critical extension unknown to us, or one twice.',
  ),
  'ek-certificate-signature-weak': refuse(
    'A certificate of the chain is signed with a weak algorithm or key.',
  ),
  'ek-certificate-not-yet-valid': refuse('The EK certificate is not valid yet.'),
  'ek-certificate-untrusted': refuse('No path leads from the EK certificate to an accepted manufacturer.'),
  'ek-certificate-name-constraints': refuse(
    'A name in the chain is outside what the CA above it may certify (name constraints).',
  ),
  'ek-certificate-revoked': refuse('The EK certificate, or a CA above it, is on the CRL of its issuer.'),
  'ek-manufacturer-mismatch': refuse('The TPM reports another manufacturer than its EK certificate names.'),
  'ek-revocation-unknown': refuse(
    'Policy asks for a current CRL of every CA in the chain, and there is none of one of them.',
  ),
  'ek-trust-anchors-missing': refuse('No TPM manufacturer is accepted: the list of trust anchors is empty.'),
  'ek-certificate-expired': note(
    'The EK certificate has expired, as many real ones have; its key has not changed.',
  ),
  'ek-crl-missing': note('There is no complete CRL of a CA in the chain: what it revoked is not known.'),
  'ek-crl-expired': note(
    'The CRL of a CA in the chain is past its nextUpdate: later revocations are not known.',
  ),
  'ek-certificate-no-tpm-model': note(
    'The EK certificate does not name manufacturer, model and version of the TPM.',
  ),

  // Said, and nothing more
  'event-log-absent': note('No event log came and policy allows that: PCR values are self-reported.'),
  'events-unquoted': note('The log has events of PCRs that the quote does not cover: hearsay.'),
  'pcr-not-logged': note('A quoted PCR outside policy was extended and the log does not say by what.'),
  'claims-unread': note(
    'The claims were bound to the quote but are not in the form of the protocol: nothing in them was judged.',
  ),
  'challenge-signature-unchecked': note(
    'The challenge was bound to the quote; who signed it was not checked here.',
  ),
  'secure-boot-off': note('Firmware started the listed stage-0 without verifying it.'),
} as const satisfies Readonly<Record<string, ReasonDefinition>>;

export type ReasonCode = keyof typeof REASONS;

type CodesOf<Kind extends ReasonKind> = {
  [Code in ReasonCode]: (typeof REASONS)[Code]['kind'] extends Kind ? Code : never;
}[ReasonCode];

export type RefusalCode = CodesOf<'refuse'>;

/** One thing that was found, in words a person can act on. */
export interface Finding {
  code: ReasonCode;
  message: string;
}

export type VerdictKind = 'accept' | 'refuse' | 'hold';

/** Ends the checklist at once: what comes after would rest on something that does not hold. */
export class Refusal extends CodedError<RefusalCode> {
  get finding(): Finding {
    return { code: this.code, message: this.message };
  }
}

export function kindOf(code: ReasonCode): ReasonKind {
  return REASONS[code].kind;
}

/** A hostile log can fail one rule a hundred thousand times: the first few say it all. */
const MAX_FINDINGS_PER_CODE = 8;

/** One refusal refuses, else one hold holds; notes never change a verdict. */
export function concludeFrom(findings: readonly Finding[]): {
  verdict: VerdictKind;
  reasons: Finding[];
  notes: Finding[];
} {
  const told = firstOfEachCode(findings);
  const reasons = told.filter(({ code }) => kindOf(code) !== 'note');
  const notes = told.filter(({ code }) => kindOf(code) === 'note');
  if (reasons.some(({ code }) => kindOf(code) === 'refuse')) return { verdict: 'refuse', reasons, notes };
  return { verdict: reasons.length > 0 ? 'hold' : 'accept', reasons, notes };
}

function firstOfEachCode(findings: readonly Finding[]): Finding[] {
  const counts = new Map<ReasonCode, number>();
  return findings.filter(({ code }) => {
    const count = (counts.get(code) ?? 0) + 1;
    counts.set(code, count);
    return count <= MAX_FINDINGS_PER_CODE;
  });
}
