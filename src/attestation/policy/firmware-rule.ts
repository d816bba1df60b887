import { fromHex, toHex } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { diffEventLogs } from '../event-log/event-log-diff.ts';
import type { VerifiedQuote } from '../quote/quote.ts';
import type { Finding } from '../reasons.ts';

/** Values that belong together: those of one firmware, with its settings, on one machine. PCR to hex. */
export type FirmwareValues = Readonly<Record<number, string>>;

export interface FirmwareReference {
  /** The PCRs that are compared. */
  pcrs: readonly number[];
  /** A quote must equal one of these in all of them. None: nobody has approved anything yet. */
  accepted: readonly FirmwareValues[];
  /** The log of the first of them, for the difference that is shown. */
  baselineLog?: Uint8Array;
}

const MAX_DIFFERENCES = 6;

/** Firmware that nobody has approved holds the node: an update looks just like an attack. */
export function checkFirmware(on: {
  quote: VerifiedQuote;
  reference: FirmwareReference;
  log: Uint8Array | undefined;
  hash: HashAlgorithm;
}): Finding[] {
  const { quote, reference, log, hash } = on;
  const { pcrs, accepted, baselineLog } = reference;
  const [baseline] = accepted;
  if (baseline === undefined)
    return [
      {
        code: 'baseline-missing',
        message: `PCR ${pcrs.join(', ')}: the policy wants an approved baseline, and this node has none yet`,
      },
    ];
  if (accepted.some((values) => pcrs.every((pcr) => holds(quote, pcr, values[pcr])))) return [];
  const changed = pcrs.filter((pcr) => !holds(quote, pcr, baseline[pcr]));
  const values = changed.map((pcr): Finding => changeOf(quote, pcr, baseline[pcr]));
  if (log === undefined || baselineLog === undefined) return values;
  const lines = diffEventLogs({ before: baselineLog, after: log, hash, pcrs: changed });
  return [...values, ...tell(lines)];
}

function tell(lines: readonly string[]): Finding[] {
  const rest = lines.length - MAX_DIFFERENCES;
  const told = rest > 0 ? [...lines.slice(0, MAX_DIFFERENCES), `and ${rest} more differences`] : lines;
  if (told.length === 0) return [];
  return [{ code: 'firmware-difference', message: told.join('; ') }];
}

function changeOf(quote: VerifiedQuote, pcr: number, approved: string | undefined): Finding {
  const value = quote.pcrs.get(pcr);
  const was = approved === undefined ? 'never approved' : `approved was ${shortHex(fromHex(approved))}`;
  return {
    code: 'firmware-changed',
    message: `PCR ${pcr} is ${value === undefined ? 'not quoted' : shortHex(value)}, ${was}`,
  };
}

function holds(quote: VerifiedQuote, pcr: number, expected: string | undefined): boolean {
  const value = quote.pcrs.get(pcr);
  return value !== undefined && toHex(value) === expected;
}
