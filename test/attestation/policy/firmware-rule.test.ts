import { describe, expect, test } from 'vitest';
import { checkFirmware, type FirmwareReference } from '../../../src/attestation/policy/firmware-rule.ts';
import { asciiBytes, fromHex } from '../../../src/core/bytes.ts';
import { SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { writeLog } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { COUNTERS, LOG, pcrHex, stage0Events } from '../appraisal-fixture.ts';
import { pcrsOf } from '../evidence-fixture.ts';

const OTHER = '00'.repeat(32);
const APPROVED = { 0: pcrHex(0), 2: pcrHex(2) };

function check(
  reference: Partial<FirmwareReference>,
  { log, quoted = LOG }: { log?: Uint8Array; quoted?: Uint8Array } = {},
) {
  return checkFirmware({
    quote: { pcrs: pcrsOf(quoted), counters: COUNTERS, clockIsSafe: true },
    reference: { pcrs: [0, 2], accepted: [APPROVED], ...reference },
    log,
    hash: SHA256,
  });
}

const changedIn = (findings: ReturnType<typeof check>) =>
  findings.filter(({ code }) => code === 'firmware-changed').map(({ message }) => message);

describe('firmware', () => {
  test('that equals one set of approved values in each compared PCR passes', () => {
    expect(check({})).toEqual([]);
    expect(check({ accepted: [{ 0: OTHER, 2: OTHER }, APPROVED] })).toEqual([]);
  });

  test('that is put together from two sets is held', () => {
    const accepted = [
      { 0: APPROVED[0], 2: OTHER },
      { 0: OTHER, 2: APPROVED[2] },
    ];
    expect(changedIn(check({ accepted }))).toEqual([
      `PCR 2 is ${APPROVED[2].slice(0, 12)}..., approved was 000000000000...`,
    ]);
  });

  test('for which nothing was approved is held', () => {
    expect(check({ accepted: [] })).toEqual([
      {
        code: 'baseline-missing',
        message: 'PCR 0, 2: the policy wants an approved baseline, and this node has none yet',
      },
    ]);
  });

  test('is held in a PCR that was never approved, and in one that is not quoted', () => {
    expect(changedIn(check({ accepted: [{ 0: APPROVED[0] }] }))).toEqual([
      `PCR 2 is ${APPROVED[2].slice(0, 12)}..., never approved`,
    ]);
    const pcr16 = changedIn(check({ pcrs: [16], accepted: [{ 16: OTHER }] }));
    expect(pcr16).toEqual(['PCR 16 is not quoted, approved was 000000000000...']);
    expect(fromHex(OTHER)).toHaveLength(32);
  });
});

describe('the difference', () => {
  const drivers = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      pcr: 2,
      type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER,
      data: asciiBytes(`driver ${index}`),
      hashed: asciiBytes(`digest ${index}`),
    }));
  const withDrivers = (count: number) => writeLog([...drivers(count), ...stage0Events()]);
  const differenceOf = (findings: ReturnType<typeof check>) =>
    findings.filter(({ code }) => code === 'firmware-difference').map(({ message }) => message);

  test('is told where there is a log of both', () => {
    const log = withDrivers(1);
    const [message, ...others] = differenceOf(check({ baselineLog: LOG }, { log, quoted: log }));
    expect(others).toEqual([]);
    expect(message).toMatch(/^PCR 2.*EV_EFI_BOOT_SERVICES_DRIVER/);
    expect(differenceOf(check({}, { log, quoted: log }))).toEqual([]);
    expect(differenceOf(check({ baselineLog: LOG }, { quoted: log }))).toEqual([]);
  });

  test('is told in six lines at most', () => {
    const six = withDrivers(6);
    expect(differenceOf(check({ baselineLog: LOG }, { log: six, quoted: six }))[0]).not.toMatch(/more/);
    const nine = withDrivers(9);
    const [message] = differenceOf(check({ baselineLog: LOG }, { log: nine, quoted: nine }));
    expect(message).toMatch(/; and 3 more differences$/);
    expect(message?.split('; ')).toHaveLength(7);
  });

  test('is not told where logs do not differ in what changed', () => {
    expect(check({ accepted: [{ 0: OTHER, 2: APPROVED[2] }], baselineLog: LOG }, { log: LOG })).toHaveLength(
      1,
    );
  });
});
