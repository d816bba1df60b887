import { CodedError, messageOf } from '../core/errors.ts';
import { toPrintable } from '../core/printable.ts';

export type ReasonKind = 'refuse' | 'hold' | 'note';

interface ReasonDefinition {
  kind: ReasonKind;
  /** One line for an operator; the finding's own message says what was expected and what came. */
  meaning: string;
  /** What the operator does about it, in plain words. */
  remedy: string;
}

const refuse = (meaning: string, remedy: string) => ({ kind: 'refuse', meaning, remedy }) as const;
const hold = (meaning: string, remedy: string) => ({ kind: 'hold', meaning, remedy }) as const;
const note = (meaning: string, remedy: string) => ({ kind: 'note', meaning, remedy }) as const;

/** The one closed table of reason codes. Once released a code is never renamed and never changes its kind. */
export const REASONS = {
  // The document and the exchange around it
  'evidence-unreadable': refuse(
    'The input is not JSON, not an object, or of another format.',
    'Pass an evidence file as `boot-admin verdicts export` writes it; on a request from a node, install the agent of this release.',
  ),
  'evidence-malformed': refuse(
    'A field of the evidence is missing, unknown, or not what it must be.',
    'The message names the field: correct the file, or install the agent of this release on the node.',
  ),
  'evidence-too-large': refuse(
    'The evidence is longer than this verifier reads.',
    'Look at what the node sends: no real evidence comes near the limit, so treat that node as compromised.',
  ),
  'challenge-unknown': refuse(
    'This service never sent that challenge, or has forgotten it.',
    'Nothing if it happens once, the node asks again; if always, check that the node talks to one server and not to several in turn.',
  ),
  'challenge-expired': refuse(
    'The evidence came after the challenge had expired.',
    'Nothing if it happens once, the node asks again; if always, its TPM is slow: raise `challengeTtlSeconds`.',
  ),
  'nonce-consumed': refuse(
    'The challenge has been answered already; each is good for one answer.',
    'Find out what sends answers twice: a proxy that repeats requests, an agent that was changed, or somebody who recorded one.',
  ),
  'purpose-mismatch': refuse(
    'Challenge, claims and request do not name the same purpose.',
    'Install the agent of this release on the node; if it already has it, somebody sent evidence to the wrong place on purpose.',
  ),
  'ak-mismatch': refuse(
    'The challenge was made for another attestation key.',
    'Let the node ask for a challenge with the key that it quotes with; if it does, somebody passes challenges on.',
  ),
  'verification-failed': refuse(
    'The verifier itself failed on this evidence: report it as a bug.',
    'Save the evidence with `boot-admin verdicts export` and report it: no input may cause this.',
  ),

  // What the node says (claims)
  'claims-malformed': refuse(
    'The claims are not the JSON object that the protocol defines.',
    'Install a stage-0 of this release on the node: its agent writes the claims in this form.',
  ),
  'claims-event-log-mismatch': refuse(
    'The event log is not the one that the claims name by hash.',
    'Reboot the machine; if it stays, something between agent and server changes the log, so look at the network path.',
  ),
  'claims-report-mismatch': refuse(
    'The report is not the one that the claims name by hash, or one of the two is missing.',
    'Install a stage-0 of this release on the node; if it has one, something between agent and server changes reports.',
  ),
  'claims-ek-mismatch': refuse(
    'The claims name an endorsement key that is not of this node.',
    "Compare the EK fingerprint on the machine's console with `boot-admin nodes show`; if the TPM was replaced, enrol the machine again.",
  ),
  'claims-stage0-mismatch': refuse(
    'The claims name another stage-0 build than the PCRs do.',
    'Reboot the machine into a listed stage-0; a build that lies about its number was not made by `boot-sign stage0`.',
  ),
  'server-key-mismatch': refuse(
    'The node saw a server key that is not ours: a relay or a stale challenge.',
    'Take TLS-inspecting proxies out of the path; if there is none, somebody relays: find out who before the node is used.',
  ),
  'ephemeral-key-mismatch': refuse(
    'The connection uses another key than the quoted claims name.',
    'Take proxies that end TLS out of the path: the connection must go from the node to this server.',
  ),

  // The attestation key
  'ak-malformed': refuse(
    'The attestation key is not a TPM public area that we read.',
    'Enrol the machine again with the agent of this release, which makes the key.',
  ),
  'ak-not-restricted': refuse(
    'The key may sign anything, so a quote from it proves nothing.',
    'Enrol the machine again with the agent of this release; a key of any other form was not made by it.',
  ),
  'ak-not-signing': refuse(
    'The key has no sign attribute.',
    'Enrol the machine again with the agent of this release; a key of any other form was not made by it.',
  ),
  'ak-decrypts': refuse(
    'The key may decrypt; an attestation key only signs.',
    'Enrol the machine again with the agent of this release; a key of any other form was not made by it.',
  ),
  'ak-not-fixed-tpm': refuse(
    'The key may be duplicated to another TPM.',
    'Enrol the machine again with the agent of this release; a key that can leave its TPM was not made by it.',
  ),
  'ak-not-fixed-parent': refuse(
    'The key may be moved below another parent.',
    'Enrol the machine again with the agent of this release; a key that can leave its TPM was not made by it.',
  ),
  'ak-imported': refuse(
    'The TPM did not make this key (sensitiveDataOrigin is clear).',
    'Treat the machine as hostile until explained: somebody brought a key of their own into its TPM.',
  ),
  'ak-symmetric-set': refuse(
    'A signing key names a symmetric algorithm.',
    'Enrol the machine again with the agent of this release; a key of any other form was not made by it.',
  ),
  'ak-scheme-unset': refuse(
    'The key fixes no signature scheme.',
    'Enrol the machine again with the agent of this release; a key of any other form was not made by it.',
  ),
  'ak-hash-weak': refuse(
    'The key signs with, or is named by, a hash that is too weak.',
    'Enrol the machine again with the agent of this release; it uses SHA-256.',
  ),
  'ak-key-weak': refuse(
    'The key is too short or has a weak exponent.',
    'Enrol the machine again with the agent of this release; it makes P-256 keys.',
  ),
  'ak-not-template': refuse(
    'The key is not the ECC P-256 ECDSA-SHA256 key that the protocol asks for.',
    'Enrol the machine again with the agent of this release; if its TPM has no P-256, it cannot be used.',
  ),

  // The quote
  'attest-malformed': refuse(
    'The attestation is not a TPMS_ATTEST that a TPM made.',
    "Update the TPM's firmware if its maker offers an update; otherwise the message was altered on its way: look at the agent.",
  ),
  'attest-not-quote': refuse(
    'The TPM signed something else than a quote.',
    'Install the agent of this release on the node; what came is another kind of statement, perhaps a replay of one.',
  ),
  'extra-data-mismatch': refuse(
    'The quote answers another challenge, or covers other claims.',
    'Nothing if it happens once, the node asks again; if always, somebody replays old quotes or the agent was changed.',
  ),
  'signature-malformed': refuse(
    'The signature is not a TPMT_SIGNATURE that we read.',
    "Update the TPM's firmware if its maker offers an update; otherwise look at what the agent sends.",
  ),
  'signature-scheme-mismatch': refuse(
    'Signature scheme or hash are not those of the attestation key.',
    'Enrol the machine again: it signs with another key or scheme than the one that was enrolled.',
  ),
  'signature-invalid': refuse(
    'The attestation key did not sign this.',
    "Compare the EK fingerprint on the machine's console with the node's; if the TPM was replaced or cleared, enrol again.",
  ),
  'selection-empty': refuse(
    'The quote covers no PCR, or selects none in a bank it names.',
    'Install the agent of this release, and check that policy names at least one PCR.',
  ),
  'selection-duplicate-bank': refuse(
    'The quote selects one bank twice.',
    'Look at the agent on that machine: ours never asks a TPM for this.',
  ),
  'selection-bank-missing': refuse(
    'The quote does not cover the bank that policy asks for.',
    "Switch that PCR bank on in the machine's firmware setup (TPM, PCR banks) and reboot it.",
  ),
  'selection-incomplete': refuse(
    'The quote covers fewer PCRs than policy asks for.',
    'Install a stage-0 with the agent of this release, which quotes every PCR that policy can ask for.',
  ),
  'bank-not-accepted': refuse(
    'Policy asks for a PCR bank whose hash is too weak or unknown.',
    'Name sha256, sha384 or sha512 as the bank in the policy.',
  ),
  'pcr-value-missing': refuse(
    'A quoted PCR came without its value.',
    'Install the agent of this release on the node, which sends a value for each PCR that it quotes.',
  ),
  'pcr-value-unquoted': refuse(
    'A PCR value came that the quote does not cover.',
    'Install the agent of this release on the node, which sends no value that it does not quote.',
  ),
  'pcr-digest-mismatch': refuse(
    'The PCR values are not the ones that were quoted.',
    'Reboot the machine; if it stays, the values are altered between TPM and server: look at the agent.',
  ),

  // What the PCRs say
  'pcr14-not-zero': refuse(
    'Something was extended into PCR 14: this is not stage-0 before its hand-over.',
    'Reset the machine and let it boot from the network: the running system must not ask for what only stage-0 gets.',
  ),
  'pcr14-not-release': refuse(
    'PCR 14 is not exactly one extend of the granted release.',
    'Reset the machine so that it boots through stage-0 again; it runs something else than it was granted.',
  ),
  'session-missing': refuse(
    'Health evidence needs the boot session that it belongs to.',
    'Reboot the machine: it runs without a boot that this server granted.',
  ),
  'session-mismatch': refuse(
    'The TPM was reset or restarted since the boot that this evidence speaks of.',
    'Reboot the machine through stage-0: since it was granted its boot, its TPM was reset or the machine suspended.',
  ),
  'pcr-mismatch': refuse(
    'A PCR is none of the values that policy accepts.',
    'Compare the event log with the last accepted one (`boot-admin verdicts log`); accept the value in the policy once you know what changed.',
  ),
  'pcrs-not-extended': refuse(
    'No quoted PCR was ever extended: nothing measured anything in this bank.',
    'Switch measured boot on in firmware setup, or the PCR bank that policy asks for; a TPM that nothing measures into proves nothing.',
  ),
  'reference-unusable': refuse(
    'Policy gives reference values for a PCR that is not quoted, or gives none.',
    'Correct the policy: give accepted values only for PCRs in its list, and at least one for each.',
  ),
  'stage0-not-listed': refuse(
    'What firmware started is not a listed stage-0.',
    'Check boot order and boot URL in firmware setup; if you built this stage-0 yourself, list and publish it with `boot-sign`.',
  ),
  'stage0-withdrawn': refuse(
    'What firmware started is a stage-0 that is no longer listed.',
    'Reboot the machine: firmware fetches the stage-0 that is listed now; if it keeps the old one, check the URL its firmware boots from.',
  ),
  'secure-boot-required': refuse(
    'Policy wants Secure Boot and the machine started without it.',
    'Switch Secure Boot on in firmware setup with our certificate in `db`, then reboot; or have policy not require it.',
  ),

  'stage0-self-reported': note(
    'No PCR is asked which stage-0 runs: the build is what the node says.',
    'Nothing, where the machine measures nothing and an operator vouches for its ROM; elsewhere give PCR 4 and 11 the rule stage0.',
  ),
  'secure-boot-unproven': refuse(
    'Policy wants Secure Boot, and the event log of PCR 7 does not prove that it was on.',
    'Look at `boot-admin verdicts log`; firmware that measures PCR 7 in another way needs a policy without secureBoot.state: required.',
  ),
  'secure-boot-db': refuse(
    'Firmware accepts a signer that the policy does not list.',
    'Find out who enrolled that certificate: remove it in firmware setup, or add its SHA-256 to secureBoot.db of the policy.',
  ),
  'firmware-changed': hold(
    'Firmware, its settings or its Secure Boot keys are not what was approved for this node.',
    'If you updated the machine, approve it with `boot-admin firmware approve`; if nobody did, keep it out and look at it.',
  ),
  'firmware-difference': note(
    'What differs between the event log that was approved and this one.',
    'Compare it with what you changed on the machine.',
  ),
  'baseline-missing': hold(
    "The policy compares with an approved baseline, and nobody has approved this node's yet.",
    'Look at what it measured with `boot-admin verdicts log`, then `boot-admin firmware approve`.',
  ),

  // The three facts
  'identity-too-low': refuse(
    'The policy takes only TPMs whose endorsement key its maker has certified.',
    "Add the maker's root with `boot-admin trust-anchors add`, or give machines without certificate a channel with another policy.",
  ),
  'admission-not-accepted': refuse(
    'The way in which this node was admitted is not one that its policy accepts.',
    'Admit it in another way, give it another channel, or change `admission` in the policy.',
  ),
  'state-not-accepted': refuse(
    'What the PCRs of this node prove is less than its policy accepts.',
    'Turn on measured boot in its firmware; where there is none, its channel needs a policy that accepts that.',
  ),

  // The event log
  'event-log-missing': refuse(
    'Policy wants the event log and none came.',
    "Update the machine's firmware or enable its TCG 2.0 event log; only where it has none, let policy say `eventLog: optional`.",
  ),
  'event-log-malformed': refuse(
    'The event log is not a TCG crypto-agile log.',
    'Save the evidence with `boot-admin verdicts export` for its maker; update the firmware, or let policy do without its log.',
  ),
  'event-log-too-large': refuse(
    'The event log has more bytes or events than this verifier reads.',
    'Look at what the node sends: no firmware writes such a log, so treat that node as compromised.',
  ),
  'event-log-sha1-format': refuse(
    'The event log has the old SHA-1 format and proves nothing about other banks.',
    'Switch firmware setup from TPM 1.2 or TCG 1.2 log format to TCG 2.0, or update the firmware.',
  ),
  'event-log-bank-missing': refuse(
    'The event log has no digests for the quoted bank, or not for every event.',
    "Update the machine's firmware: it extends this PCR bank without logging it; or let policy do without its log.",
  ),
  'event-log-replay-mismatch': refuse(
    'Replaying the event log does not give the quoted PCR values.',
    'See with `boot-admin verdicts log` which PCR differs; after a firmware update reboot once more, otherwise suspect the log was edited.',
  ),
  'event-log-data-mismatch': refuse(
    'An event is not what its digest covers.',
    'Look at the event with `boot-admin verdicts log`: either this firmware hashes something else (report it) or the log was edited.',
  ),
  'event-log-separator-missing': refuse(
    'A firmware PCR has no separator: the log is cut, or firmware was left early.',
    'Reboot the machine; if it stays, firmware was left before it was done, or does not follow the TCG profile: update it.',
  ),
  'event-log-separator-duplicate': refuse(
    'A firmware PCR has more than one separator.',
    "Update the machine's firmware; a second separator is written by faulty firmware or by somebody who edits logs.",
  ),
  'event-log-separator-invalid': refuse(
    'A separator reports a firmware error or holds an undefined value.',
    "Look into the machine's firmware for errors at start (its own error log), then reboot it.",
  ),
  'event-log-type-unexpected': refuse(
    'An event of this type does not belong in this PCR.',
    'Look at the event with `boot-admin verdicts log`; if genuine firmware wrote it, report it so that the rule learns of it.',
  ),
  'event-log-no-action-invalid': refuse(
    'An EV_NO_ACTION event has a digest, or is one that may not stand there.',
    'Look at the event with `boot-admin verdicts log`; update the firmware, or suspect that the log was edited.',
  ),

  // Clocks and counters
  'counters-went-back': hold(
    'TPM reset counters are lower than before: a clone, a restored state, or a cleared TPM.',
    'Find out whether the TPM was cleared or the machine cloned or restored; then `boot-admin nodes lift-hold` or `revoke`.',
  ),
  'clock-went-back': hold(
    'The TPM clock is lower than before within one power cycle.',
    "Find out whether the TPM's state was restored or copied; then `boot-admin nodes lift-hold` or `revoke`.",
  ),
  'firmware-version-changed': hold(
    "The TPM's firmware version changed since the last accepted evidence.",
    "If you updated the TPM's firmware, `boot-admin nodes lift-hold`; if nobody did, find out who before the node boots again.",
  ),
  'clock-not-safe': note(
    'The TPM clock may have run back after an unorderly shutdown.',
    'Nothing: the machine lost power; look at its power supply if it says so at every boot.',
  ),

  // The floor record
  'floor-malformed': refuse(
    'The floor record or its certification is not what it must be.',
    'Install the agent of this release on the node, which reads and certifies the record.',
  ),
  'floor-signature-invalid': refuse(
    'The floor was not certified by the attestation key.',
    'Reboot the machine; if it stays, something on it alters the record on its way to the server.',
  ),
  'floor-extra-data-mismatch': refuse(
    'The floor was certified for another challenge.',
    'Nothing if it happens once, the node asks again; if always, an old certification is replayed.',
  ),
  'floor-index-mismatch': refuse(
    'Another NV index was certified, or one that was never written.',
    'Reboot the machine: stage-0 writes the record; if it stays, somebody removed the NV index.',
  ),
  'floor-contents-mismatch': refuse(
    'The floor record is not what was certified.',
    'Reboot the machine; if it stays, something on it alters the record on its way to the server.',
  ),
  'floor-session-mismatch': refuse(
    'The floor was certified in another power cycle than the quote.',
    'Nothing if it happens once, the node asks again; if always, an old certification is replayed.',
  ),
  'floor-missing': hold(
    'This node had a floor record or must have written one, and shows none.',
    'Find out who removed it, or cleared the TPM; then `boot-admin nodes reset-floor`, and the node keeps a new one.',
  ),
  'floor-went-back': hold(
    'The floor record shows older metadata than the node had seen before.',
    'Treat the machine as hostile until explained: no stage-0 lowers it; then `boot-admin nodes reset-floor`.',
  ),
  'floor-other-channel': hold(
    'The floor record is of another channel than the node has.',
    'Move the node back; or run `bootward-agent forget-floor` on it as root, then `boot-admin nodes reset-floor`.',
  ),
  'floor-ahead': hold(
    'The node has seen newer metadata than this server publishes: this server was set back.',
    'Publish the current metadata with `boot-sign publish`; find out whether a backup was restored or a disk set back.',
  ),

  // The endorsement key's certificate
  'ek-certificate-malformed': refuse(
    'The EK certificate is not one that we can read.',
    'Read it with `openssl x509 -inform DER -text`; a damaged one may be had again from the manufacturer, else enrol without it.',
  ),
  'ek-certificate-key-unsupported': refuse(
    'The EK certificate carries its key in a form that we do not take.',
    'Enrol the machine with another EK of its TPM, or without its certificate as `uncertified`, compared by hand.',
  ),
  'ek-certificate-key-mismatch': refuse(
    'The EK certificate is for another key than the one presented.',
    'Check that the certificate was read from this TPM; if it was, somebody presents the certificate of another.',
  ),
  'ek-key-unsuitable': refuse(
    'The endorsement key is not the restricted storage key that it must be.',
    'Let the agent of this release make the EK from the TCG template; any other key under this name was not made by it.',
  ),
  'ek-key-weak': refuse(
    'The endorsement key is too short or has a weak exponent.',
    'Use another machine: the TPM cannot prove its identity with such a key.',
  ),
  'key-roca': refuse(
    'An RSA key can be factored (ROCA, CVE-2017-15361): the TPM or CA must get a new one.',
    'Install the TPM firmware update of its manufacturer and let the TPM make a new EK, or replace the TPM.',
  ),
  'ek-certificate-purpose': refuse(
    'The certificate is not for an endorsement key (EKU 2.23.133.8.1).',
    "Present the EK certificate from the TPM's NV memory; this one was issued for something else.",
  ),
  'ek-certificate-is-ca': refuse(
    'A CA certificate was presented as an EK certificate.',
    'Present the EK certificate of the TPM itself, not the one of its issuer.',
  ),
  'ek-certificate-key-usage': refuse(
    'Key usage of the EK certificate does not allow what an EK does.',
    'Ask the manufacturer for a correct certificate, or enrol the machine as `uncertified`, compared by hand.',
  ),
  'ek-certificate-extension': refuse(
    'The EK certificate has a critical extension unknown to us, or one twice.',
    'Read it with `openssl x509 -text`; if it is genuine, report it so that we learn to judge this extension.',
  ),
  'ek-certificate-signature-weak': refuse(
    'A certificate of the chain is signed with a weak algorithm or key.',
    'Ask the manufacturer for a certificate with a stronger signature, or enrol the machine as `uncertified`, compared by hand.',
  ),
  'ek-certificate-not-yet-valid': refuse(
    'The EK certificate is not valid yet.',
    "Check the server's clock; if it is right, the certificate begins in the future and is not genuine.",
  ),
  'ek-certificate-untrusted': refuse(
    'No path leads from the EK certificate to an accepted manufacturer.',
    'If the manufacturer is one you accept, add the issuer with `boot-admin trust-anchors add`; `openssl x509 -issuer` names it.',
  ),
  'ek-certificate-name-constraints': refuse(
    'A name in the chain is outside what the CA above it may certify (name constraints).',
    'Do not accept the TPM: a CA certified what it may not; tell its manufacturer.',
  ),
  'ek-certificate-revoked': refuse(
    'The EK certificate, or a CA above it, is on the CRL of its issuer.',
    'Do not accept the TPM; ask its manufacturer why the certificate was revoked.',
  ),
  'ek-manufacturer-mismatch': refuse(
    'The TPM reports another manufacturer than its EK certificate names.',
    'Look at the machine: its TPM is not the one that the certificate was issued for, or something imitates one.',
  ),
  'ek-revocation-unknown': refuse(
    'Policy asks for a current CRL of every CA in the chain, and there is none of one of them.',
    'Add the current CRL of the named CA with `boot-admin trust-anchors add`, or do not require it.',
  ),
  'ak-changed': hold(
    'A TPM that is known came to enrol with another attestation key than its node has.',
    'Find out why: if you replaced its stage-0 or rotated its key, `boot-admin nodes allow-new-ak`; else something else made that key.',
  ),
  'ek-trust-anchors-missing': refuse(
    'No TPM manufacturer is accepted: the list of trust anchors is empty.',
    'Add the manufacturers you accept with `boot-admin trust-anchors add`; without one no certificate can be believed.',
  ),
  'ek-certificate-expired': note(
    'The EK certificate has expired, as many real ones have; its key has not changed.',
    'Nothing: manufacturers do not renew these certificates, and the key is as good as before.',
  ),
  'ek-crl-missing': note(
    'There is no complete CRL of a CA in the chain: what it revoked is not known.',
    'Nothing; to know of revocations, add the CRL of that CA with `boot-admin trust-anchors add`.',
  ),
  'ek-crl-expired': note(
    'The CRL of a CA in the chain is past its nextUpdate: later revocations are not known.',
    'Fetch the current CRL of that CA and add it with `boot-admin trust-anchors add`.',
  ),
  'ek-manufacturer-unreported': note(
    'The node did not say what manufacturer its TPM reports: nothing was compared with the EK certificate.',
    'Nothing; with the agent of this release the node says it.',
  ),
  'ek-certificate-no-tpm-model': note(
    'The EK certificate does not name manufacturer, model and version of the TPM.',
    "Nothing; to know the model, ask the manufacturer with the certificate's serial number.",
  ),

  // Said, and nothing more
  'event-log-absent': note(
    'No event log came and policy allows that: PCR values are self-reported.',
    'Nothing; to know what was measured, update the firmware or enable its TCG 2.0 event log.',
  ),
  'events-unquoted': note(
    'The log has events of PCRs that the quote does not cover: hearsay.',
    'Nothing; do not rely on those events, anybody could have written them.',
  ),
  'pcr-not-logged': note(
    'A quoted PCR outside policy was extended and the log does not say by what.',
    'Nothing; if a decision should rest on that PCR, name it in the policy.',
  ),
  'claims-unread': note(
    'The claims were bound to the quote but are not those of the protocol: at most a purpose and an event log that they name were judged.',
    'Nothing; let the agent of this release write the claims if they should be judged.',
  ),
  'challenge-signature-unchecked': note(
    'The challenge was bound to the quote; who signed it was not checked here.',
    'Nothing: the server that took the answer knew the challenge as its own; a file alone cannot show that.',
  ),
  'secure-boot-db-measured': note(
    'Whom firmware trusts: what db held when it was measured into PCR 7.',
    'Nothing; to accept exactly these signers, list their digests as secureBoot.db in the policy.',
  ),
  'secure-boot-off': note(
    'Firmware started the listed stage-0 without verifying it.',
    'Nothing; to have firmware verify what it starts, switch Secure Boot on and let policy require it.',
  ),
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
    return toPrintableFinding({ code: this.code, message: this.message });
  }
}

/** Whatever else was thrown is a fault of our own, and refuses too (Q55). */
export function findingOf(thrown: unknown): Finding {
  return thrown instanceof Refusal
    ? thrown.finding
    : { code: 'verification-failed', message: messageOf(thrown) };
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
  const told = firstOfEachCode(findings).map(toPrintableFinding);
  const reasons = told.filter(({ code }) => kindOf(code) !== 'note');
  const notes = told.filter(({ code }) => kindOf(code) === 'note');
  if (reasons.some(({ code }) => kindOf(code) === 'refuse')) return { verdict: 'refuse', reasons, notes };
  return { verdict: reasons.length > 0 ? 'hold' : 'accept', reasons, notes };
}

/** Messages quote what a machine sent; they are stored, answered, logged and shown (A10). */
function toPrintableFinding({ code, message }: Finding): Finding {
  return { code, message: toPrintable(message) };
}

function firstOfEachCode(findings: readonly Finding[]): Finding[] {
  const counts = new Map<ReasonCode, number>();
  return findings.filter(({ code }) => {
    const count = (counts.get(code) ?? 0) + 1;
    counts.set(code, count);
    return count <= MAX_FINDINGS_PER_CODE;
  });
}
