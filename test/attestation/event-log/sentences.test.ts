import { describe, expect, it } from 'vitest';
import { verifyEvidence } from '../../../src/attestation/verify.ts';
import { asciiBytes } from '../../../src/core/bytes.ts';
import { hashOf } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  bootEvents,
  SEPARATOR_DATA,
  type WrittenEvent,
  writeLog,
} from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { BOOT_LOG, POLICY, pcrsOf, sealEvidence, validInput, verdictOnLog } from '../evidence-fixture.ts';

// Who has to act on a refusal reads these: what was expected, and what came.

const PCRS = pcrsOf(BOOT_LOG);
const SEPARATOR = EVENT_TYPE.EV_SEPARATOR;
const isSeparator = (pcr: number) => (event: WrittenEvent) => event.pcr === pcr && event.type === SEPARATOR;
const withEvent = (event: WrittenEvent) => writeLog([...bootEvents(), event]);
const noAction = (data: string): WrittenEvent => ({
  pcr: 5,
  type: EVENT_TYPE.EV_NO_ACTION,
  data: asciiBytes(data),
});
const ONES = { id: ALG.SHA256, bytes: new Uint8Array(32).fill(1) };
const badSeparator = bootEvents().map((event) =>
  isSeparator(5)(event) ? { ...event, data: Uint8Array.of(1, 0, 0, 0) } : event,
);

describe('the sentence of a finding on a log', () => {
  it.each<[string, ReturnType<typeof verdictOnLog>, (string | RegExp)[]]>([
    [
      'without the bank',
      verdictOnLog(writeLog(bootEvents(), [hashOf(ALG.SHA1)]), PCRS),
      ['event log: expected a digest of bank sha256 for each event, some have none'],
    ],
    [
      'of a bank that was never extended',
      verdictOnLog(writeLog([])),
      [
        `bank sha256: expected measurements, PCR ${POLICY.pcrs.join(', ')} hold their start values`,
        'PCR 7: no separator in the event log, expected one',
      ],
    ],
    [
      'that ends too early',
      verdictOnLog(writeLog(bootEvents().slice(0, -1)), PCRS),
      [/^PCR 9: the quote says [0-9a-f]{12}\.\.\., the event log gives 000000000000\.\.\.$/],
    ],
    [
      'with a second header',
      verdictOnLog(withEvent(noAction('Spec ID Event03\0'))),
      ['PCR 5: a second Spec ID event, expected it at the start only'],
    ],
    [
      'with a digest where none belongs',
      verdictOnLog(withEvent({ ...noAction('x'), digests: [ONES] })),
      ['PCR 5: EV_NO_ACTION has digest 010101010101..., expected zeros'],
    ],
    [
      'with both',
      verdictOnLog(withEvent({ ...noAction('Spec ID Event03\0'), digests: [ONES] })),
      [/^PCR 5: a second Spec ID event/, /^PCR 5: EV_NO_ACTION has digest/],
    ],
    [
      'with an error of firmware',
      verdictOnLog(writeLog(badSeparator)),
      ['PCR 5: separator 01000000, expected 00000000 or ffffffff (1 is an error of firmware)'],
    ],
    [
      'with a separator too many',
      verdictOnLog(withEvent({ pcr: 7, type: SEPARATOR, data: SEPARATOR_DATA })),
      ['PCR 7: 2 separators, expected one'],
    ],
    [
      'with a separator too few',
      verdictOnLog(writeLog(bootEvents().filter((event) => !isSeparator(4)(event)))),
      ['PCR 4: no separator in the event log, expected one'],
    ],
    [
      'silent about an extended PCR',
      verdictOnLog(BOOT_LOG, new Map([...PCRS, [15, new Uint8Array(32).fill(5)]])),
      ['PCR 15: extended to 050505050505..., the event log does not say by what'],
    ],
    [
      'with an action that is none',
      verdictOnLog(withEvent({ pcr: 4, type: EVENT_TYPE.EV_EFI_ACTION, data: Uint8Array.of(0) })),
      ['PCR 4: EV_EFI_ACTION holds something else than the text of an action'],
    ],
    [
      'with an action as application',
      verdictOnLog(
        withEvent({
          pcr: 4,
          type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION,
          data: asciiBytes('Calling EFI Application from Boot Option'),
        }),
      ),
      ['PCR 4: EV_EFI_BOOT_SERVICES_APPLICATION holds the text of an action'],
    ],
  ])('%s says what was expected and what came', (_name, { reasons, notes }, sentences) => {
    expect([...reasons, ...notes].map(({ message }) => message)).toEqual(
      sentences.map((sentence) =>
        typeof sentence === 'string' ? sentence : expect.stringMatching(sentence),
      ),
    );
  });

  it('says that PCR 14 is missing where a purpose needs it', () => {
    const pcrs = new Map([...PCRS].filter(([pcr]) => pcr !== 14));
    const untrustedEvidence = sealEvidence({ log: BOOT_LOG, pcrs });
    const policy = { ...POLICY, pcrs: [...pcrs.keys()] };
    expect(
      verifyEvidence(validInput({ untrustedEvidence, policy })).reasons.map(({ message }) => message),
    ).toEqual(['quote: for purpose boot it must cover PCR 14, and does not']);
  });
});
