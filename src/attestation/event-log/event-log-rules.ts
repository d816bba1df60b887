import { asciiBytes, bytesEqual } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import type { EventLog, LogEvent } from '../../tpm/event-log.ts';
import { EVENT_TYPE } from '../../tpm/event-types.ts';
import type { Finding } from '../reasons.ts';
import { checkEventData } from './event-data.ts';
import { checkEventTypes } from './event-type-rules.ts';

const LAST_FIRMWARE_PCR = 7;
const SPEC_ID_PREFIX = asciiBytes('Spec ID Event');
/** Normal values of EV_SEPARATOR (PFP, section 3.3.2.2); 1 reports a firmware error, others mean nothing. */
const SEPARATORS = [new Uint8Array(4), new Uint8Array(4).fill(0xff)];

/** Rules on a log that replays right: what may stand where. Judges events of quoted PCRs only. */
export function checkEvents(input: {
  log: EventLog;
  hash: HashAlgorithm;
  quotedPcrs: readonly number[];
  policyPcrs: readonly number[];
}): Finding[] {
  const { log, hash, quotedPcrs, policyPcrs } = input;
  const bankIndex = log.hashes.indexOf(hash);
  const extended = log.events.filter(({ type }) => type !== EVENT_TYPE.EV_NO_ACTION);
  const quoted = extended.filter(({ pcr }) => quotedPcrs.includes(pcr));
  return [
    ...log.events.filter(({ type }) => type === EVENT_TYPE.EV_NO_ACTION).flatMap(checkNoAction),
    ...checkEventTypes(quoted),
    ...quoted.flatMap(checkSeparator),
    ...quoted.flatMap((event) => {
      const digest = event.digests[bankIndex];
      return digest === undefined ? [] : checkEventData(event, digest, hash);
    }),
    ...countSeparators({ quoted, quotedPcrs, policyPcrs }),
    ...unquotedNote(extended, quotedPcrs),
  ];
}

/** PFP, section 10.4.5: informative, its digests are zero; the Spec ID event stands at the start only. */
function checkNoAction({ digests, data, pcr }: LogEvent): Finding[] {
  const digest = digests.find((candidate) => candidate?.some((byte) => byte !== 0) === true);
  const findings: string[] = [];
  if (bytesEqual(data.subarray(0, SPEC_ID_PREFIX.length), SPEC_ID_PREFIX))
    findings.push('a second Spec ID event, expected it at the start only');
  if (digest !== undefined) findings.push(`EV_NO_ACTION has digest ${shortHex(digest)}, expected zeros`);
  return findings.map((what) => ({
    code: 'event-log-no-action-invalid',
    message: `PCR ${pcr}: ${what}`,
  }));
}

function checkSeparator({ pcr, type, data }: LogEvent): Finding[] {
  if (type !== EVENT_TYPE.EV_SEPARATOR || pcr > LAST_FIRMWARE_PCR) return [];
  if (SEPARATORS.some((separator) => bytesEqual(separator, data))) return [];
  return [
    {
      code: 'event-log-separator-invalid',
      message: `PCR ${pcr}: separator ${shortHex(data)}, expected 00000000 or ffffffff (1 is an error of firmware)`,
    },
  ];
}

/**
 * Firmware separates each of PCR 0–7 exactly once, before it starts what it loaded (PFP, section 2.3.4).
 * Some real firmware separates PCR 7 only; what separates any other PCR must separate all of them.
 */
function countSeparators(input: {
  quoted: readonly LogEvent[];
  quotedPcrs: readonly number[];
  policyPcrs: readonly number[];
}): Finding[] {
  const { quoted, quotedPcrs, policyPcrs } = input;
  const separators = quoted.filter(({ type }) => type === EVENT_TYPE.EV_SEPARATOR);
  const separatesAll = separators.some(({ pcr }) => pcr < LAST_FIRMWARE_PCR);
  return quotedPcrs
    .filter((pcr) => pcr <= LAST_FIRMWARE_PCR)
    .flatMap((pcr): Finding[] => {
      const count = separators.filter((event) => event.pcr === pcr).length;
      if (count > 1)
        return [
          { code: 'event-log-separator-duplicate', message: `PCR ${pcr}: ${count} separators, expected one` },
        ];
      const isDue = policyPcrs.includes(pcr) && (pcr === LAST_FIRMWARE_PCR || separatesAll);
      if (count === 0 && isDue)
        return [
          {
            code: 'event-log-separator-missing',
            message: `PCR ${pcr}: no separator in the event log, expected one`,
          },
        ];
      return [];
    });
}

function unquotedNote(extended: readonly LogEvent[], quotedPcrs: readonly number[]): Finding[] {
  const pcrs = new Set(extended.map(({ pcr }) => pcr).filter((pcr) => !quotedPcrs.includes(pcr)));
  if (pcrs.size === 0) return [];
  const list = [...pcrs].sort((a, b) => a - b).join(', ');
  return [
    { code: 'events-unquoted', message: `event log: its events of PCR ${list} are not covered by the quote` },
  ];
}
