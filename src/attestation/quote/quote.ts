import { hash as digestOf } from 'node:crypto';
import { bytesEqual, fromHex, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { shortHex } from '../../core/printable.ts';
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
      `quote: extraData ${shortHex(claimedQuote.extraData)}, expected ${shortHex(expectedExtraData)}: it answers another challenge or covers other claims`,
    );
  const { hash: akHash } = verifyAttestSignature(ak, untrusted);
  const quote = claimedQuote;
  verifySelection(quote.selections, policy);
  verifyPcrDigest(quote, { akHash, claimedPcrs: untrusted.pcrs });
  const { clock, resetCount, restartCount, safe } = quote.clockInfo;
  return {
    pcrs: claimedBank(untrusted.pcrs, policy.bank),
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

function verifySelection(
  selections: readonly PcrSelection[],
  policy: { bank: string; pcrs: readonly number[] },
): void {
  const banks = selections.map(({ hash }) => hash.name);
  if (selections.length === 0)
    throw new Refusal('selection-empty', 'quote: it selects no PCR, expected those of the policy');
  const twice = banks.find((bank, index) => banks.indexOf(bank) !== index);
  if (twice !== undefined)
    throw new Refusal('selection-duplicate-bank', `quote: bank ${twice} is selected twice, expected once`);
  const empty = selections.find(({ pcrs }) => pcrs.length === 0);
  if (empty !== undefined)
    throw new Refusal(
      'selection-empty',
      `quote: bank ${empty.hash.name} is selected without any of its PCRs`,
    );
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
      `quote: expected PCR ${policy.pcrs.join(', ')} of ${policy.bank}, it lacks ${missing.join(', ')}`,
    );
}

/** TPM2_Quote (Part 3, section 18.4): the selected values in order, hashed with the signing scheme's hash. */
function verifyPcrDigest(
  quote: QuoteAttest,
  { akHash, claimedPcrs }: { akHash: HashAlgorithm; claimedPcrs: PcrValues },
): void {
  requireNoUnquoted(quote.selections, claimedPcrs);
  const values = quotedValues(quote.selections, claimedPcrs);
  // As text, which node:crypto makes in half the time of a buffer.
  const digest = digestOf(akHash.name, values, 'hex');
  if (digest !== toHex(quote.pcrDigest))
    throw new Refusal(
      'pcr-digest-mismatch',
      `quote: the PCR values that came hash to ${shortHex(fromHex(digest))}, quoted was ${shortHex(quote.pcrDigest)}`,
    );
}

function quotedValues(selections: readonly PcrSelection[], claimedPcrs: PcrValues): Uint8Array {
  const byteLength = selections.reduce((sum, { hash, pcrs }) => sum + hash.size * pcrs.length, 0);
  const values = Buffer.allocUnsafe(byteLength);
  let offset = 0;
  for (const { hash, pcrs } of selections) {
    const bank = claimedBank(claimedPcrs, hash.name);
    for (const pcr of pcrs) {
      const value = bank.get(pcr);
      if (value?.length !== hash.size) throw missing(pcr, hash);
      values.set(value, offset);
      offset += hash.size;
    }
  }
  return values;
}

function claimedBank(claimedPcrs: PcrValues, bank: string): ReadonlyMap<number, Uint8Array> {
  const values = claimedPcrs.get(bank);
  if (values !== undefined) return values;
  throw new Refusal('pcr-value-missing', `bank ${bank}: quoted, but none of its values came`);
}

function missing(pcr: number, { name, size }: HashAlgorithm): Refusal {
  return new Refusal('pcr-value-missing', `PCR ${pcr} of ${name}: quoted, but no ${size}-byte value came`);
}

function requireNoUnquoted(selections: readonly PcrSelection[], claimedPcrs: PcrValues): void {
  for (const [bank, values] of claimedPcrs) {
    const quoted = selections.find(({ hash }) => hash.name === bank)?.pcrs ?? [];
    if (values.size === 0) throw unquoted('list', bank);
    for (const pcr of values.keys()) if (!quoted.includes(pcr)) throw unquoted(pcr, bank);
  }
}

function unquoted(pcr: number | 'list', bank: string): Refusal {
  return new Refusal('pcr-value-unquoted', `PCR ${pcr} of ${bank}: a value came that is not quoted`);
}
