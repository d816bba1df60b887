import { bytesEqual } from '../../core/bytes.ts';
import { shortHex } from '../../core/printable.ts';
import type { HashAlgorithm } from '../../tpm/algorithms.ts';
import { contentOf, type Measured, measuredIn, nameOf, readLog } from './measured-events.ts';

/**
 * The first event of a PCR that is not the predicted one, in words: "EV_EFI_BOOT_SERVICES_APPLICATION
 * (event 3): digest 12ab... (said to be ...), expected digest 98cd...". Undefined when the log is not readable,
 * or when it extends exactly these digests.
 */
export function differingEvent(given: {
  untrustedLog: Uint8Array;
  pcr: number;
  hash: HashAlgorithm;
  expectedDigests: readonly Uint8Array[];
}): string | undefined {
  const { untrustedLog, pcr, hash, expectedDigests } = given;
  const log = readLog(untrustedLog, hash);
  if (log === undefined) return undefined;
  const events = measuredIn(log, pcr, hash);
  const index = expectedDigests.findIndex((expected, place) => !isEvent(events[place], expected));
  if (index !== -1) return sayDiffering(events[index], expectedDigests[index]);
  return sayDiffering(events[expectedDigests.length], undefined);
}

function isEvent(event: Measured | undefined, digest: Uint8Array): boolean {
  return event !== undefined && bytesEqual(event.digest, digest);
}

function sayDiffering(event: Measured | undefined, expected: Uint8Array | undefined): string | undefined {
  if (event === undefined)
    return expected && `nothing more was measured, expected an event with digest ${shortHex(expected)}`;
  const wanted = expected === undefined ? 'no further event' : `digest ${shortHex(expected)}`;
  return `${nameOf(event)}: ${contentOf(event)}, expected ${wanted}`;
}
