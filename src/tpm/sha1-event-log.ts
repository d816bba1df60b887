import { SHA1 } from './algorithms.ts';
import { TpmFormatError } from './errors.ts';
import type { EventLog, EventLogLimits, LogEvent } from './event-log.ts';
import { EVENT_TYPE } from './event-types.ts';
import { PCR_COUNT } from './pcr-selection.ts';
import { StructureReader } from './reader.ts';

const NO_PCR = 0xffff_ffff;

/**
 * A log of TCG_PCR_EVENT (PFP 1.06, section 10.2.1) from the first byte to the last, as firmware wrote it
 * before TPM 2.0 and some still does. To look into only: the verifier takes no SHA-1 log for evidence.
 *
 * @throws {TpmFormatError}
 */
export function parseSha1EventLog(bytes: Uint8Array, limits: EventLogLimits): EventLog {
  if (bytes.length > limits.maxBytes)
    throw new TpmFormatError('log-too-large', `event log: ${bytes.length} bytes, at most ${limits.maxBytes}`);
  const reader = new StructureReader(bytes, 'SHA-1 event log', 'little');
  const events: LogEvent[] = [];
  while (reader.remaining > 0) {
    if (events.length === limits.maxEvents)
      throw new TpmFormatError('log-too-large', `event log: more than ${limits.maxEvents} events`);
    events.push(readEvent(reader));
  }
  return { hashes: [SHA1], events };
}

function readEvent(reader: StructureReader): LogEvent {
  const pcr = reader.u32();
  const type = reader.u32();
  if (pcr >= PCR_COUNT && !(pcr === NO_PCR && type === EVENT_TYPE.EV_NO_ACTION))
    reader.invalid(`event in PCR ${pcr}`);
  return { pcr, type, digests: [reader.fixed(SHA1.size)], data: reader.fixed(reader.u32()) };
}
