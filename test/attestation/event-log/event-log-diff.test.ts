import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { differingEvent } from '../../../src/attestation/event-log/differing-event.ts';
import { diffEventLogs } from '../../../src/attestation/event-log/event-log-diff.ts';
import { diffSequences } from '../../../src/attestation/event-log/sequence-diff.ts';
import { asciiBytes, concatBytes, EMPTY, sha256, toHex } from '../../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  ACTION_DATA,
  bootEvents,
  SEPARATOR_DATA,
  variableData,
  type WrittenEvent,
  writeEvent,
  writeLog,
} from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { BOOT_LOG } from '../evidence-fixture.ts';

const DBX = 'dbx of 61616161-6161-6161-6161-616161616161';
const ALL_PCRS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11];
const diff = (after: readonly WrittenEvent[], before: readonly WrittenEvent[] = bootEvents()) =>
  diffEventLogs({ before: writeLog(before), after: writeLog(after), hash: SHA256, pcrs: ALL_PCRS });
const changed = (type: number, change: Partial<WrittenEvent>) =>
  bootEvents().map((event) => (event.type === type ? { ...event, ...change } : event));
const APPLICATION = EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION;

describe('the difference between two event logs', () => {
  it('is nothing for equal logs', () => {
    expect(diff(bootEvents())).toEqual([]);
  });

  it('tells a version in its own words, for its digest covers them', () => {
    const data = Buffer.from('1.1\0', 'utf16le');
    expect(diff(changed(EVENT_TYPE.EV_S_CRTM_VERSION, { data }))).toEqual([
      'PCR 0: EV_S_CRTM_VERSION (event 1) changed: "1.0" before, "1.1" now',
    ]);
  });

  it('names a variable that was switched', () => {
    const data = variableData('SecureBoot', Uint8Array.of(0));
    expect(diff(changed(EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG, { data }))).toEqual([
      expect.stringMatching(/^PCR 7: SecureBoot .*\(event 1\) changed: on before, off now$/),
    ]);
  });

  it('gives the digests where both say the same', () => {
    const db = (byte: number) => ({
      pcr: 7,
      type: EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG,
      data: variableData('dbx', new Uint8Array(40).fill(byte)),
    });
    const [was, is] = [db(1), db(2)].map(({ data }) => toHex(sha256(data)).slice(0, 12));
    expect(diff([db(2), ...bootEvents()], [db(1), ...bootEvents()])).toEqual([
      `PCR 7: ${DBX} (event 1) changed: digest ${was}... before, ${is}... now, both 40 bytes`,
    ]);
  });

  it('gives the digest where data is hearsay, and says so', () => {
    const [was, is] = ['the Authenticode digest of stage-0', 'another image'].map((text) =>
      toHex(sha256(asciiBytes(text))).slice(0, 12),
    );
    expect(diff(changed(APPLICATION, { hashed: asciiBytes('another image') }))).toEqual([
      `PCR 4: EV_EFI_BOOT_SERVICES_APPLICATION (event 3) changed: digest ${was}... (said to be "https://boot.example/stage0.efi") before, digest ${is}... (said to be "https://boot.example/stage0.efi") now`,
    ]);
  });

  it('does not take the word of data that its digest contradicts', () => {
    const forged = { data: Buffer.from('9.9\0', 'utf16le'), hashed: asciiBytes('another version') };
    expect(diff(changed(EVENT_TYPE.EV_S_CRTM_VERSION, forged))[0]).toContain('(said to be "9.9") now');
  });

  it('tells what is new, what is gone and what only moved', () => {
    const driver = { pcr: 2, type: EVENT_TYPE.EV_EFI_BOOT_SERVICES_DRIVER, data: asciiBytes('option ROM') };
    const event = `digest ${toHex(sha256(driver.data)).slice(0, 12)}... (said to be "option ROM")`;
    expect(diff([...bootEvents(), driver])).toEqual([
      `PCR 2: EV_EFI_BOOT_SERVICES_DRIVER (event 2) is new: ${event}`,
    ]);
    expect(diff(bootEvents(), [...bootEvents(), driver])).toEqual([
      `PCR 2: EV_EFI_BOOT_SERVICES_DRIVER (event 2) is gone: ${event}`,
    ]);
    expect(diff([driver, ...bootEvents()], [...bootEvents(), driver])).toEqual([
      expect.stringMatching(/^PCR 2: \S+ \(event [12]\) is event [12] now: /),
    ]);
  });

  it('tells several changes of one PCR in the order of the log', () => {
    const event = (text: string) => ({ pcr: 8, type: 0x0d, data: asciiBytes(text) });
    const before = [...bootEvents(), event('one'), event('two'), event('three')];
    const after = [...bootEvents(), event('two'), event('four'), event('five')];
    const digestOf = (text: string) => `digest ${toHex(sha256(asciiBytes(text))).slice(0, 12)}...`;
    expect(diff(after, before)).toEqual([
      expect.stringContaining(`${digestOf('one')} (said to be "one") before, ${digestOf('four')}`),
      expect.stringContaining(`${digestOf('three')} (said to be "three") before, ${digestOf('five')}`),
    ]);
    expect(diff([...bootEvents(), event('two')], before)).toEqual([
      expect.stringMatching(/^PCR 8: .* \(event 1\) is gone: /),
      expect.stringMatching(/^PCR 8: .* \(event 3\) is gone: /),
    ]);
  });

  it('shows an event without a digest of the bank as what it is', () => {
    const banks = [SHA256, hashOf(ALG.SHA384)];
    const digests = [{ id: ALG.SHA256, bytes: sha256() }];
    const before = writeLog(bootEvents(), banks);
    const after = concatBytes(
      before,
      writeEvent({ pcr: 8, type: 0x0d, data: asciiBytes('x'), digests }, banks),
    );
    const given = { before, after, hash: hashOf(ALG.SHA384), pcrs: [8] };
    expect(diffEventLogs(given)).toEqual([
      expect.stringMatching(/^PCR 8: .* is new: digest {2}\(said to be "x"\)$/),
    ]);
  });

  it('Q55 hides no fault of our own', () => {
    const given = { before: BOOT_LOG, after: null as never, hash: SHA256, pcrs: [0] };
    expect(() => diffEventLogs(given)).toThrow(TypeError);
  });

  it('tells another start-up locality, which no extended event shows', () => {
    const data = concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(3));
    expect(diff([{ pcr: 0, type: EVENT_TYPE.EV_NO_ACTION, data }, ...bootEvents()])).toEqual([
      'PCR 0: the TPM was started from locality 0, now from locality 3',
    ]);
  });

  it('looks at the PCRs it is asked for only', () => {
    const log = writeLog(changed(APPLICATION, { hashed: EMPTY }));
    expect(diffEventLogs({ before: BOOT_LOG, after: log, hash: SHA256, pcrs: [0, 7] })).toEqual([]);
  });

  it('says which log it cannot read, and that a bank is not in it', () => {
    const sha384 = hashOf(ALG.SHA384);
    const given = { before: BOOT_LOG, after: BOOT_LOG, hash: SHA256, pcrs: [0] };
    expect(diffEventLogs({ ...given, before: BOOT_LOG.subarray(1) })).toEqual([
      'the event logs cannot be compared: the earlier one is not readable in bank sha256',
    ]);
    expect(diffEventLogs({ ...given, after: EMPTY })).toEqual([
      'the event logs cannot be compared: the later one is not readable in bank sha256',
    ]);
    expect(diffEventLogs({ ...given, hash: sha384 })[0]).toContain('the earlier one is not readable');
  });

  it('A10 escapes what a log says and cuts it short', () => {
    const data = Buffer.from(`\x1b[2J\n${'x'.repeat(4000)}`, 'utf16le');
    const [line = ''] = diff([...bootEvents(), { pcr: 0, type: EVENT_TYPE.EV_S_CRTM_VERSION, data }]);
    expect(line).toMatch(/^[\x20-\x7e...]+$/);
    expect(line.length).toBeLessThan(400);
  });

  it('is bounded: in lines, and in work on logs that have nothing in common', () => {
    const many = (text: string, count: number) =>
      Array.from({ length: count }, (_, index) => ({
        pcr: 8,
        type: 0x0d,
        data: asciiBytes(`${text}${index}`),
      }));
    const lines = diff([...bootEvents(), ...many('new', 100)]);
    expect(lines).toHaveLength(65);
    expect(lines.at(-1)).toBe('and 36 more differences');
    expect(diff([...bootEvents(), ...many('new', 513)])).toEqual([
      'PCR 8: nearly everything differs (0 events before, 513 now)',
    ]);
    expect(diff([...bootEvents(), ...many('new', 1500)], [...bootEvents(), ...many('old', 1500)])).toEqual([
      'PCR 8: nearly everything differs (1500 events before, 1500 now)',
    ]);
  });
});

describe('the first event that is not the predicted one', () => {
  const image = asciiBytes('the Authenticode digest of stage-0');
  const predicted = [ACTION_DATA, SEPARATOR_DATA, image].map((data) => sha256(data));
  const differing = (log: Uint8Array, expectedDigests = predicted) =>
    differingEvent({ untrustedLog: log, pcr: 4, hash: SHA256, expectedDigests });

  it('is none when the log extends exactly what was predicted, or cannot be read', () => {
    expect(differing(BOOT_LOG)).toBeUndefined();
    expect(differing(BOOT_LOG.subarray(0, -1))).toBeUndefined();
  });

  it('is named with what came and what was expected', () => {
    const expected = toHex(sha256(image)).slice(0, 12);
    const came = toHex(sha256(asciiBytes('evil'))).slice(0, 12);
    expect(differing(writeLog(changed(APPLICATION, { hashed: asciiBytes('evil') })))).toBe(
      `EV_EFI_BOOT_SERVICES_APPLICATION (event 3): digest ${came}... (said to be "https://boot.example/stage0.efi"), expected digest ${expected}...`,
    );
  });

  it('may be one that is missing, or one too many', () => {
    const without = writeLog(bootEvents().filter(({ type }) => type !== APPLICATION));
    expect(differing(without)).toMatch(/^nothing more was measured, expected an event with digest /);
    expect(differing(BOOT_LOG, predicted.slice(0, 2))).toMatch(/, expected no further event$/);
  });
});

describe('sequence differences', () => {
  const word = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 12 });

  it('leave the same sequence on both sides', () => {
    fc.assert(
      fc.property(word, word, (before, after) => {
        const found = diffSequences(before, after);
        const left = before.filter((_, index) => !found?.removed.includes(index));
        const right = after.filter((_, index) => !found?.added.includes(index));
        expect(left).toEqual(right);
      }),
    );
  });

  it('are the shortest', () => {
    expect(diffSequences([...'abcabba'], [...'cbabac'])).toMatchObject({
      removed: { length: 3 },
      added: { length: 2 },
    });
  });
});
