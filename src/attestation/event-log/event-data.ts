import { hash as digestOf } from 'node:crypto';
import { bytesEqual } from '../../core/bytes.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import type { LogEvent } from '../../tpm/event-log.ts';
import { EVENT_TYPE, eventTypeName } from '../../tpm/event-types.ts';
import { uefiVariableContent } from '../../tpm/uefi-variable-data.ts';
import type { Finding } from '../reasons.ts';

/** The byte strings of which one must have been hashed, for an event of this type. */
type Candidates = (data: Uint8Array) => (Uint8Array | undefined)[];

const wholeData: Candidates = (data) => [data];
/** Real firmware, old and new, may hash a variable's content only where the profile wants the whole structure. */
const dataOrContent: Candidates = (data) => [data, uefiVariableContent(data)];
/** shim before 15.5 logs one byte more than it hashed (google/go-attestation issue 157). */
const dataOrAllButLast: Candidates = (data) => [data, data.subarray(0, -1)];

/**
 * The types whose digest covers their data (PFP, section 10.4.1) on every real log that we know. For all
 * others data is hearsay: a boot application's path or a loader's command line is not what was hashed.
 */
const COVERED: ReadonlyMap<number, Candidates> = new Map([
  [EVENT_TYPE.EV_SEPARATOR, wholeData],
  [EVENT_TYPE.EV_S_CRTM_VERSION, wholeData],
  [EVENT_TYPE.EV_EFI_ACTION, wholeData],
  [EVENT_TYPE.EV_EFI_GPT_EVENT, wholeData],
  [EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG, dataOrContent],
  [EVENT_TYPE.EV_EFI_VARIABLE_BOOT, dataOrContent],
  [EVENT_TYPE.EV_EFI_VARIABLE_BOOT2, dataOrContent],
  [EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, dataOrAllButLast],
]);

/** Holds an event's data against its digest in the quoted bank. */
export function checkEventData(event: LogEvent, digest: Uint8Array, hash: HashAlgorithm): Finding[] {
  const candidates = COVERED.get(event.type);
  if (candidates === undefined) return [];
  const covers = candidates(event.data).some(
    (data) => data !== undefined && bytesEqual(digestOf(hash.name, data, 'buffer'), digest),
  );
  if (covers) return [];
  const message = `PCR ${event.pcr}: the data of ${eventTypeName(event.type)} is not what its digest covers`;
  return [{ code: 'event-log-data-mismatch', message }];
}
