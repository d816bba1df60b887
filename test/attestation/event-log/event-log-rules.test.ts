import { describe, expect, it } from 'vitest';
import { checkEvents } from '../../../src/attestation/event-log/event-log-rules.ts';
import { asciiBytes, concatBytes, sha256 } from '../../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { bootEvents, writeEvent, writeLog } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { parseEventLog } from '../../../src/tpm/event-log.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { POLICY_PCRS } from '../evidence-fixture.ts';

const SHA384 = hashOf(ALG.SHA384);
const BANKS = [SHA256, SHA384];

/** The boot, and one event whose data is not what was hashed, with digests of these banks only. */
function findingsOf(banks: typeof BANKS, hash: typeof SHA256): string[] {
  const digests = banks.map(({ id, size }) => ({ id, bytes: sha256(asciiBytes('x')).subarray(0, size) }));
  const event = { pcr: 0, type: EVENT_TYPE.EV_S_CRTM_VERSION, data: asciiBytes('1.1'), digests };
  const log = parseEventLog(concatBytes(writeLog(bootEvents(), BANKS), writeEvent(event, BANKS)));
  return checkEvents({ log, hash, quotedPcrs: POLICY_PCRS, policyPcrs: POLICY_PCRS }).map(({ code }) => code);
}

describe('the rules on a log', () => {
  it('hold data against the digest of the judged bank', () => {
    expect(findingsOf([SHA256], SHA256)).toEqual(['event-log-data-mismatch']);
  });

  it('leave an event without a digest in that bank to the replay, which takes no such bank', () => {
    expect(findingsOf([SHA256], SHA384)).toEqual([]);
  });
});
