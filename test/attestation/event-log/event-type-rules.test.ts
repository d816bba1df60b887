import { describe, expect, it } from 'vitest';
import { checkEventTypes } from '../../../src/attestation/event-log/event-type-rules.ts';
import { asciiBytes, EMPTY } from '../../../src/core/bytes.ts';
import { variableData } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';

// Which events may stand in PCR 4 and 7, one rule at a time. Digests play no part here.

interface Event {
  pcr: number;
  type: number;
  data: Uint8Array;
}

const at = (pcr: number, type: number, data: Uint8Array | string = EMPTY): Event => ({
  pcr,
  type,
  data: typeof data === 'string' ? asciiBytes(data) : data,
});
const misplaced = (...events: Event[]): string[] =>
  checkEventTypes(events.map((event) => ({ ...event, digests: [] }))).map(({ message }) => message);

const NAMES = Object.keys(EVENT_TYPE) as (keyof typeof EVENT_TYPE)[];
const ALLOWED = {
  4: ['EV_SEPARATOR', 'EV_EFI_ACTION', 'EV_EFI_BOOT_SERVICES_APPLICATION'],
  7: [
    'EV_SEPARATOR',
    'EV_EFI_ACTION',
    'EV_EFI_VARIABLE_DRIVER_CONFIG',
    'EV_EFI_VARIABLE_AUTHORITY',
    'EV_EFI_SPDM_DEVICE_POLICY',
    'EV_EFI_SPDM_DEVICE_AUTHORITY',
  ],
};

describe('the types that firmware measures', () => {
  it.each([4, 7] as const)('L21 L22 refuses every other type in PCR %d, by name', (pcr) => {
    for (const name of NAMES) {
      const refusal = `PCR ${pcr}: ${name} does not belong there, only ${ALLOWED[pcr].join(', ')}`;
      const expected = ALLOWED[pcr].includes(name) ? [] : [refusal];
      expect(misplaced(at(pcr, EVENT_TYPE[name], 'text'))).toEqual(expected);
    }
  });

  it.each([0, 1, 2, 3, 5, 6, 8, 9, 11, 14])('has no such rule for PCR %d', (pcr) => {
    for (const name of NAMES) expect(misplaced(at(pcr, EVENT_TYPE[name], Uint8Array.of(0)))).toEqual([]);
  });
});

describe('the content of an action', () => {
  it.each([
    EMPTY,
    Uint8Array.of(0x41, 0x0a),
    Uint8Array.of(0x0a, 0x41),
    Uint8Array.of(0x7f),
    Uint8Array.of(0x1f),
  ])('L22 is printable text (%#)', (data) => {
    expect(misplaced(at(4, EVENT_TYPE.EV_EFI_ACTION, data))).toHaveLength(1);
  });

  it('L22 may be any printable text', () => {
    expect(misplaced(at(4, EVENT_TYPE.EV_EFI_ACTION, ' ~ any'))).toEqual([]);
  });

  it.each([
    'Calling EFI Application from Boot Option',
    'Returning from EFI Application from Boot Option',
    'Returning from EFI Application to Boot Option',
  ])('L22 is not taken for an application: %s', (text) => {
    expect(misplaced(at(4, EVENT_TYPE.EV_EFI_ACTION, text))).toEqual([]);
    expect(misplaced(at(4, EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION, text))).toHaveLength(1);
    for (const longer of [`x${text}`, `${text}x`])
      expect(misplaced(at(4, EVENT_TYPE.EV_EFI_BOOT_SERVICES_APPLICATION, longer))).toEqual([]);
  });

  it('L22 may stand as the data of any other type', () => {
    const text = 'Calling EFI Application from Boot Option';
    expect(misplaced(at(4, EVENT_TYPE.EV_SEPARATOR, text))).toEqual([]);
  });
});

describe('the order in PCR 7', () => {
  const configuration = (name: string) =>
    at(7, EVENT_TYPE.EV_EFI_VARIABLE_DRIVER_CONFIG, variableData(name, EMPTY));
  const authority = (name: string) => at(7, EVENT_TYPE.EV_EFI_VARIABLE_AUTHORITY, variableData(name, EMPTY));
  const separator = at(7, EVENT_TYPE.EV_SEPARATOR, new Uint8Array(4));
  const EARLY = 'PCR 7: EV_EFI_VARIABLE_AUTHORITY stands before the separator, expected after it';
  const LATE = 'PCR 7: EV_EFI_VARIABLE_DRIVER_CONFIG stands after the separator, expected before it';

  it.each<[string, Event[], string[]]>([
    ['configuration, separator, authority', [configuration('db'), separator, authority('db')], []],
    ['no separator at all', [authority('db'), configuration('db')], []],
    [
      'an option ROM verified by the db measured before',
      [configuration('db'), authority('db'), separator],
      [],
    ],
    ['an authority before any configuration', [authority('db'), separator], [EARLY]],
    [
      'an authority before db, after other configuration',
      [configuration('PK'), authority('db'), separator],
      [EARLY],
    ],
    ['an authority before its db', [authority('db'), configuration('db'), separator], [EARLY]],
    ['an authority of another variable', [configuration('db'), authority('dbx'), separator], [EARLY]],
    ['another variable of db as configuration', [configuration('dbx'), authority('db'), separator], [EARLY]],
    ['configuration after the separator', [separator, configuration('db')], [LATE]],
    ['both out of order', [authority('db'), separator, configuration('db')], [EARLY, LATE]],
  ])('L21 L28 is judged: %s', (_name, events, messages) => {
    expect(misplaced(...events)).toEqual(messages);
  });

  it('L28 is not that of other PCRs', () => {
    const elsewhere = [separator, configuration('db')].map((event) => ({ ...event, pcr: 1 }));
    expect(misplaced(...elsewhere)).toEqual([]);
    expect(misplaced(configuration('PK'), ...elsewhere, configuration('db'), separator)).toEqual([]);
  });
});
