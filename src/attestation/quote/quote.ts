import { hash as digestOf } from 'node:crypto';
import { bytesEqual, concatBytes } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { parseTpmsAttest, type QuoteAttest } from '../../tpm/attest.ts';
import type { PcrSelection } from '../../tpm/pcr-selection.ts';
import type { AttestationKey } from '../keys/attestation-key.ts';
import type { TpmCounters } from '../node.ts';
import { Refusal } from '../reasons.ts';
import type { PcrValues } from './pcr-values.ts';
import { verifyAttestSignature } from './quote-signature.ts';

/** What the TPM said: signature, extraData and PCR digest hold. What it means is not judged yet. */
export interface VerifiedQuote {
  /** Of the bank that policy asks for: every quoted PCR. */
  pcrs: ReadonlyMap<number, Uint8Array>;
  counters: TpmCounters;
  /** TPMS_CLOCK_INFO.safe. */
  clockIsSafe: boolean;
}

/**
 * The cryptographic half of the checklist. Each step rests on the ones before it, so the first failure
 * ends it.
 *
 * @throws {Refusal}
 */
export function verifyQuote(input: {
  ak: AttestationKey;
  expectedExtraData: Uint8Array;
  untrusted: { attest: Uint8Array; signature: Uint8Array; pcrs: PcrValues };
  policy: { bank: string; pcrs: readonly number[] };
}): VerifiedQuote {
  const { ak, expectedExtraData, untrusted, policy } = input;
  const claimedQuote = decodeQuote(untrusted.attest);
  if (!bytesEqual(claimedQuote.extraData, expectedExtraData))
    throw new Refusal(
      'extra-data-mismatch',
      'quote: extraData answers another challenge or covers other claims',
    );
  const { hash: akHash } = verifyAttestSignature(ak, untrusted);
  const quote = claimedQuote;
  const { hash: bank, pcrs } = verifySelection(quote.selections, policy);
  verifyPcrDigest(quote, { akHash, claimedPcrs: untrusted.pcrs });
  const { clock, resetCount, restartCount, safe } = quote.clockInfo;
  return {
    pcrs: new Map(pcrs.map((pcr) => [pcr, quotedValue(untrusted.pcrs, { hash: bank, pcr })])),
    counters: { clock, resetCount, restartCount, firmwareVersion: quote.firmwareVersion },
    clockIsSafe: safe,
  };
}

function decodeQuote(untrustedBytes: Uint8Array): QuoteAttest {
  const attest = decodeAttest(untrustedBytes);
  if (attest.type === 'quote') return attest;
  const name = attest.type === 'nv' ? 'NV' : attest.typeName;
  throw new Refusal('attest-not-quote', `attestation: type ${name}, expected QUOTE`);
}

function decodeAttest(untrustedBytes: Uint8Array): ReturnType<typeof parseTpmsAttest> {
  try {
    return parseTpmsAttest(untrustedBytes);
  } catch (cause) {
    throw new Refusal('attest-malformed', `attestation: ${messageOf(cause)}`, { cause });
  }
}

/** The selection of the policy's bank. */
function verifySelection(
  selections: readonly PcrSelection[],
  policy: { bank: string; pcrs: readonly number[] },
): PcrSelection {
  const banks = selections.map(({ hash }) => hash.name);
  if (selections.length === 0) throw new Refusal('selection-empty', 'quote: no PCR is selected');
  const twice = banks.find((bank, index) => banks.indexOf(bank) !== index);
  if (twice !== undefined)
    throw new Refusal('selection-duplicate-bank', `quote: bank ${twice} is selected twice`);
  const empty = selections.find(({ pcrs }) => pcrs.length === 0);
  if (empty !== undefined)
    throw new Refusal('selection-empty', `quote: no PCR of bank ${empty.hash.name} is selected`);
  const selection = selections.find(({ hash }) => hash.name === policy.bank);
  if (selection === undefined)
    throw new Refusal(
      'selection-bank-missing',
      `quote: expected bank ${policy.bank}, it covers ${banks.join(', ')}`,
    );
  const missing = policy.pcrs.filter((pcr) => !selection.pcrs.includes(pcr));
  if (missing.length > 0)
    throw new Refusal(
      'selection-incomplete',
      `quote: PCR ${missing.join(', ')} of ${policy.bank} are not covered`,
    );
  return selection;
}

/** TPM2_Quote (Part 3, section 18.4): the selected values in order, hashed with the signing scheme's hash. */
function verifyPcrDigest(
  quote: QuoteAttest,
  { akHash, claimedPcrs }: { akHash: HashAlgorithm; claimedPcrs: PcrValues },
): void {
  requireNoUnquoted(quote.selections, claimedPcrs);
  const values = quote.selections.flatMap(({ hash, pcrs }) =>
    pcrs.map((pcr) => quotedValue(claimedPcrs, { hash, pcr })),
  );
  const digest = digestOf(akHash.name, concatBytes(...values), 'buffer');
  if (!bytesEqual(digest, quote.pcrDigest))
    throw new Refusal('pcr-digest-mismatch', 'quote: the PCR values sent are not the ones that were quoted');
}

function quotedValue(
  claimedPcrs: PcrValues,
  { hash, pcr }: { hash: HashAlgorithm; pcr: number },
): Uint8Array {
  const value = claimedPcrs.get(hash.name)?.get(pcr);
  if (value?.length === hash.size) return value;
  throw new Refusal(
    'pcr-value-missing',
    `PCR ${pcr} of ${hash.name}: quoted, but no ${hash.size}-byte value came`,
  );
}

function requireNoUnquoted(selections: readonly PcrSelection[], claimedPcrs: PcrValues): void {
  for (const [bank, values] of claimedPcrs) {
    const quoted = selections.find(({ hash }) => hash.name === bank)?.pcrs ?? [];
    const pcr = [...values.keys()].find((candidate) => !quoted.includes(candidate));
    if (pcr !== undefined || values.size === 0)
      throw new Refusal(
        'pcr-value-unquoted',
        `PCR ${pcr ?? 'list'} of ${bank}: a value came that is not quoted`,
      );
  }
}
