import { hash as digestOf } from 'node:crypto';
import type { HashAlgorithm } from './algorithms.ts';
import type { EventLog } from './event-log.ts';
import { EVENT_TYPE } from './event-types.ts';
import { startupLocalityOf } from './startup-locality.ts';

/** PCR → value, of the PCRs that the log extends. */
export type PcrBank = ReadonlyMap<number, Uint8Array>;

/** DRTM registers are all ones until a dynamic launch (PTP, section 4.6.2). */
const FIRST_DRTM_PCR = 17;
const LAST_DRTM_PCR = 22;

/** Bank name → PCRs, of every declared bank for which each event has its digest. */
export function replayEventLog(log: EventLog): ReadonlyMap<string, PcrBank> {
  const banks = new Map<string, PcrBank>();
  for (const hash of log.hashes) {
    const bank = replayBank(log, hash);
    if (bank !== undefined) banks.set(hash.name, bank);
  }
  return banks;
}

/**
 * What a TPM would hold after extending every event of the log (Part 1, section 17.2; PFP, section 10.4.5:
 * EV_NO_ACTION is never extended). Undefined when the log does not cover this bank completely.
 */
export function replayBank(log: EventLog, hash: HashAlgorithm): PcrBank | undefined {
  const index = log.hashes.indexOf(hash);
  if (index === -1) return undefined;
  const locality = startupLocalityOf(log);
  const values = new Map<number, Uint8Array>();
  const joined = new Uint8Array(2 * hash.size);
  for (const { pcr, type, digests } of log.events) {
    if (type === EVENT_TYPE.EV_NO_ACTION) continue;
    const digest = digests[index];
    if (digest === undefined) return undefined;
    joined.set(values.get(pcr) ?? startValue({ pcr, hash, locality }));
    joined.set(digest, hash.size);
    values.set(pcr, digestOf(hash.name, joined, 'buffer'));
  }
  return values;
}

/** A PCR after TPM reset, before its first extend. */
export function startValue(input: { pcr: number; hash: HashAlgorithm; locality?: number }): Uint8Array {
  const { pcr, hash, locality = 0 } = input;
  const isDrtm = pcr >= FIRST_DRTM_PCR && pcr <= LAST_DRTM_PCR;
  const value = new Uint8Array(hash.size).fill(isDrtm ? 0xff : 0);
  if (pcr === 0) value[hash.size - 1] = locality;
  return value;
}
