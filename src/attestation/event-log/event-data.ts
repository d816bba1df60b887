import { hash as digestOf } from 'node:crypto';
import { bytesEqual } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
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

/** `hearsay`: the digest of an event of this type says nothing about its data. */
export type DataStanding = 'covered' | 'contradicted' | 'hearsay';

/** Holds an event's data against its digest in one bank. */
export function standingOfData(event: LogEvent, digest: Uint8Array, hash: HashAlgorithm): DataStanding {
  const candidates = COVERED.get(event.type);
  if (candidates === undefined) return 'hearsay';
  const covers = candidates(event.data).some(
    (data) => data !== undefined && bytesEqual(digestOf(hash.name, data, 'buffer'), digest),
  );
  return covers ? 'covered' : 'contradicted';
}

/** Data that its digest must cover and does not was changed after firmware hashed it. */
export function checkEventData(event: LogEvent, digest: Uint8Array, hash: HashAlgorithm): Finding[] {
  if (standingOfData(event, digest, hash) !== 'contradicted') return [];
  const came = shortHex(digestOf(hash.name, event.data, 'buffer'));
  const message = `PCR ${event.pcr}: the data of ${eventTypeName(event.type)} hashes to ${came}, its digest is ${shortHex(digest)}`;
  return [{ code: 'event-log-data-mismatch', message }];
}
