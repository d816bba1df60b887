import { loadAttestationKey } from '../keys/attestation-key.ts';
import { verifyQuote } from '../quote/quote.ts';
import { type Finding, findingOf } from '../reasons.ts';
import { readEvidenceDocument } from './evidence-file.ts';

/** The event log of an evidence file, and the values that a quote answers for with its signature. */
export interface QuotedLog {
  bank: string;
  untrustedLog?: Uint8Array;
  /** Absent when the quote does not hold; `fault` says why. */
  quotedPcrs?: ReadonlyMap<number, Uint8Array>;
  fault?: Finding;
}

/**
 * For people who look into kept evidence: it decides on nothing, so a log is handed out also where the quote
 * beside it is worth nothing.
 *
 * @throws {NotEvidenceError | Refusal} when the document cannot be read
 */
export function readQuotedLog(input: Uint8Array | string): QuotedLog {
  const fields = readEvidenceDocument(input);
  const { akPublic, expectedExtraData, policy, eventLog } = fields;
  const log = { bank: policy.bank, ...(eventLog && { untrustedLog: eventLog }) };
  try {
    const ak = loadAttestationKey(akPublic);
    const { pcrs } = verifyQuote({ ak, expectedExtraData, untrusted: fields, policy });
    return { ...log, quotedPcrs: pcrs };
  } catch (cause) {
    return { ...log, fault: findingOf(cause) };
  }
}
