import { asciiBytes, bytesEqual } from '../core/bytes.ts';
import { TpmFormatError } from './errors.ts';
import type { EventLog, LogEvent } from './event-log.ts';
import { EVENT_TYPE } from './event-types.ts';

const SIGNATURE = asciiBytes('StartupLocality\0');
/** TPM2_Startup comes from locality 0 or 3; 4 is an H-CRTM event sequence (PFP, section 10.4.5.3). */
const LOCALITIES: readonly number[] = [0, 3, 4];

/**
 * The locality that PCR 0 starts from: at most one such event, in PCR 0, before anything was extended there.
 *
 * @throws {TpmFormatError} `invalid-value`
 */
export function startupLocalityOf(log: EventLog): number {
  const claims = log.events.filter(isStartupLocality);
  const claim = claims[0];
  if (claim === undefined) return 0;
  const firstExtend = log.events.findIndex(({ pcr, type }) => pcr === 0 && type !== EVENT_TYPE.EV_NO_ACTION);
  const locality = claim.data[SIGNATURE.length] ?? Number.NaN;
  const valid =
    claims.length === 1 &&
    claim.pcr === 0 &&
    claim.data.length === SIGNATURE.length + 1 &&
    LOCALITIES.includes(locality) &&
    (firstExtend === -1 || log.events.indexOf(claim) < firstExtend);
  if (!valid)
    throw new TpmFormatError('invalid-value', 'event log: StartupLocality event that may not stand there');
  return locality;
}

function isStartupLocality({ type, data }: LogEvent): boolean {
  return type === EVENT_TYPE.EV_NO_ACTION && bytesEqual(data.subarray(0, SIGNATURE.length), SIGNATURE);
}
