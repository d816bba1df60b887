import { EMPTY } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { TpmFormatError } from '../../tpm/errors.ts';
import { type EventLog, type LogEvent, parseEventLog } from '../../tpm/event-log.ts';
import { EVENT_TYPE } from '../../tpm/event-types.ts';
import { startupLocalityOf } from '../../tpm/startup-locality.ts';
import { standingOfData } from './event-data.ts';
import { describeEvent } from './event-description.ts';
import { EVIDENCE_LOG_LIMITS } from './event-log-appraisal.ts';

/** One extended event of one PCR in one bank. */
export interface Measured {
  /** From 1, among the extended events of its PCR. */
  place: number;
  event: LogEvent;
  digest: Uint8Array;
  hash: HashAlgorithm;
}

/** Undefined when it is no log, or one without this bank. */
export function readLog(untrustedBytes: Uint8Array, hash: HashAlgorithm): EventLog | undefined {
  try {
    const log = parseEventLog(untrustedBytes, EVIDENCE_LOG_LIMITS);
    startupLocalityOf(log);
    return log.hashes.includes(hash) ? log : undefined;
  } catch (cause) {
    if (cause instanceof TpmFormatError) return undefined;
    throw cause;
  }
}

export function measuredIn(log: EventLog, pcr: number, hash: HashAlgorithm): Measured[] {
  const bank = log.hashes.indexOf(hash);
  return log.events
    .filter((event) => event.pcr === pcr && event.type !== EVENT_TYPE.EV_NO_ACTION)
    .map((event, index) => ({ place: index + 1, event, digest: event.digests[bank] ?? EMPTY, hash }));
}

/** "db (event 3)" */
export function nameOf({ event, place }: Measured): string {
  return `${describeEvent(event).subject} (event ${place})`;
}

/** What its data says, or, where no digest covers the data, the digest and what it is said to be. */
export function contentOf({ event, digest, hash }: Measured): string {
  const { content } = describeEvent(event);
  return standingOfData(event, digest, hash) === 'covered'
    ? content
    : `digest ${shortHex(digest)} (said to be ${content})`;
}
