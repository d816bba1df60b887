import { toBase64, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { loadAttestationKey } from '../keys/attestation-key.ts';
import { encodePcrBank, encodePcrValues } from '../quote/pcr-values.ts';
import { concludeFrom, type Finding, findingOf, Refusal, type VerdictKind } from '../reasons.ts';
import { verifyEvidence } from '../verify.ts';
import { checkBinding } from './evidence-binding.ts';
import { type EvidenceFields, readEvidenceFields } from './evidence-fields.ts';
import { EVIDENCE_FORMAT, NotEvidenceError, parseEvidenceJson } from './evidence-json.ts';

/** What is printed about one evidence file. */
export interface VerdictDocument {
  verdict: VerdictKind;
  reasons: Finding[];
  notes: Finding[];
  /** PCR → hex, of the policy's bank, as the event log gives them. */
  replayedPcrs: { [pcr: string]: string };
}

/**
 * Decides on a `bootward-evidence-v1` document with the same checklist as the server (docs/evidence-file.md).
 *
 * @throws {NotEvidenceError} when the input is not JSON, not an object, or of another format; for nothing else
 */
export function verifyEvidenceDocument(input: Uint8Array | string): VerdictDocument {
  try {
    return verifyFields(readEvidenceDocument(input));
  } catch (cause) {
    if (cause instanceof NotEvidenceError) throw cause;
    return refusalDocument(findingOf(cause));
  }
}

export function refusalDocument(finding: Finding): VerdictDocument {
  return { ...concludeFrom([finding]), replayedPcrs: {} };
}

/** @throws {NotEvidenceError | Refusal} */
export function readEvidenceDocument(input: Uint8Array | string): EvidenceFields {
  const document = parseEvidenceJson(input);
  try {
    return readEvidenceFields(document);
  } catch (cause) {
    throw new Refusal('evidence-malformed', messageOf(cause), { cause });
  }
}

/** The inverse: evidence as the server saves it, to be verified again anywhere. */
export function encodeEvidenceDocument(fields: EvidenceFields): string {
  const { policy, binding, session, previous, floor } = fields;
  return JSON.stringify({
    format: EVIDENCE_FORMAT,
    akPublic: toHex(fields.akPublic),
    attest: toHex(fields.attest),
    signature: toHex(fields.signature),
    expectedExtraData: toHex(fields.expectedExtraData),
    pcrs: encodePcrValues(fields.pcrs),
    policy: {
      bank: policy.bank,
      pcrs: policy.pcrs,
      eventLog: policy.eventLog,
      expected: Object.fromEntries(
        policy.referenceValues.map(({ pcr, accepted }) => [pcr, accepted.map(toHex)]),
      ),
      ...(policy.stage0 && {
        stage0: policy.stage0.map(({ pcr4, pcr11, ...rest }) => ({
          4: pcr4.map(toHex),
          11: pcr11.map(toHex),
          ...rest,
        })),
      }),
      ...(policy.unloggedPcrs?.length && { unlogged: policy.unloggedPcrs }),
      ...(policy.firmware && {
        firmware: { pcrs: policy.firmware.pcrs, accepted: policy.firmware.accepted },
      }),
      ...(policy.secureBoot && { secureBoot: policy.secureBoot }),
      ...(policy.floor && { floor: policy.floor }),
    },
    ...(fields.eventLog && { eventLog: toBase64(fields.eventLog) }),
    ...(fields.purpose && { purpose: fields.purpose }),
    ...(binding && { challenge: toBase64(binding.challenge), claims: toBase64(binding.claims) }),
    ...(session && { session: { ...session, releaseDigest: toHex(session.releaseDigest) } }),
    ...(previous && {
      previous: {
        ...previous,
        clock: previous.clock.toString(),
        firmwareVersion: previous.firmwareVersion.toString(),
      },
    }),
    ...(floor && {
      floor: {
        nvPublic: toHex(floor.nvPublic),
        attest: toHex(floor.attest),
        signature: toHex(floor.signature),
        contents: toHex(floor.contents),
      },
    }),
  });
}

function verifyFields(fields: EvidenceFields): VerdictDocument {
  const { expectedExtraData, policy, session, previous, ...untrustedEvidence } = fields;
  const ak = loadAttestationKey(fields.akPublic);
  const { findings: bindingFindings, purpose } = checkBinding(fields, ak.name);
  const outcome = verifyEvidence({
    ak,
    expectedExtraData,
    untrustedEvidence,
    policy,
    ...(purpose && { purpose }),
    ...(session && { session }),
    ...(previous && { previous }),
  });
  const conclusion = concludeFrom([...bindingFindings, ...outcome.reasons, ...outcome.notes]);
  return { ...conclusion, replayedPcrs: encodePcrBank(outcome.replayedPcrs) };
}
