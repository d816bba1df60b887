import { describe, expect, it } from 'vitest';
import { viewEventLog } from '../../../src/attestation/event-log/event-log-view.ts';
import { asciiBytes, concatBytes, toHex } from '../../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  bootEvents,
  type WrittenEvent,
  writeEvent,
  writeLog,
} from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import { parseEventLog } from '../../../src/tpm/event-log.ts';
import { EVENT_TYPE } from '../../../src/tpm/event-types.ts';
import { BOOT_LOG, pcrsOf } from '../evidence-fixture.ts';

const PCRS = pcrsOf(BOOT_LOG);
const ONES = new Uint8Array(32).fill(1);
const view = (
  log: Uint8Array,
  quotedPcrs?: ReadonlyMap<number, Uint8Array>,
  options: { pcrs?: readonly number[]; hash?: typeof SHA256 } = {},
) => viewEventLog({ log: parseEventLog(log), hash: SHA256, quotedPcrs, ...options });
const standingOf = (pcr: number, shown: ReturnType<typeof view>) =>
  shown.pcrs.find((candidate) => candidate.pcr === pcr)?.standing;
const proofOf = (type: string, shown: ReturnType<typeof view>) => [
  ...new Set(shown.events.filter((event) => event.type === type).map(({ proven }) => proven)),
];

describe('what an operator is shown of a log', () => {
  it('is each event, what it says and what of it is proven', () => {
    const shown = view(BOOT_LOG, PCRS);
    expect(shown).toMatchObject({ bank: 'sha256', omitted: 0 });
    expect(shown.events[0]).toEqual({
      number: 1,
      pcr: 0,
      type: 'EV_S_CRTM_VERSION',
      digest: toHex(parseEventLog(BOOT_LOG).events[0]?.digests[0] ?? ONES),
      description: '"1.0"',
      proven: 'data',
      contradicted: false,
    });
    expect(proofOf('EV_EFI_VARIABLE_DRIVER_CONFIG', shown)).toEqual(['data']);
    expect(proofOf('EV_EFI_BOOT_SERVICES_APPLICATION', shown)).toEqual(['digest']);
    expect(new Set(shown.pcrs.map(({ standing }) => standing))).toEqual(new Set(['agrees']));
  });

  it('proves nothing of a PCR that the quote does not cover', () => {
    const quoted = new Map([...PCRS].filter(([pcr]) => pcr !== 7));
    const shown = view(BOOT_LOG, quoted);
    expect(standingOf(7, shown)).toBe('not-quoted');
    expect(proofOf('EV_EFI_VARIABLE_DRIVER_CONFIG', shown)).toEqual(['nothing']);
    expect(proofOf('EV_EFI_VARIABLE_BOOT', shown)).toEqual(['data']);
  });

  it('proves nothing of a PCR that does not replay to its quoted value, and says which', () => {
    const shown = view(BOOT_LOG, new Map([...PCRS, [4, ONES]]));
    expect(standingOf(4, shown)).toBe('differs');
    expect(standingOf(7, shown)).toBe('agrees');
    expect(proofOf('EV_EFI_BOOT_SERVICES_APPLICATION', shown)).toEqual(['nothing']);
  });

  it('says of a quoted PCR that was extended without a word in the log', () => {
    expect(standingOf(14, view(BOOT_LOG, new Map([...PCRS, [14, ONES]])))).toBe('not-logged');
    expect(standingOf(14, view(BOOT_LOG, PCRS))).toBe('agrees');
  });

  it('never believes an EV_NO_ACTION', () => {
    const data = concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(3));
    const log = writeLog([{ pcr: 0, type: EVENT_TYPE.EV_NO_ACTION, data }, ...bootEvents()]);
    expect(view(log, pcrsOf(log)).events[0]).toMatchObject({
      description: 'StartupLocality 3',
      proven: 'nothing',
    });
  });

  it('marks data that is not what was hashed, and proves its digest only', () => {
    const forged = { data: Buffer.from('9.9\0', 'utf16le'), hashed: asciiBytes('1.0') };
    const log = writeLog(
      bootEvents().map((event) =>
        event.type === EVENT_TYPE.EV_S_CRTM_VERSION ? { ...event, ...forged } : event,
      ),
    );
    expect(view(log, pcrsOf(log)).events[0]).toMatchObject({ proven: 'digest', contradicted: true });
  });

  it('tells without a quote what a quote that agrees would prove', () => {
    const shown = view(BOOT_LOG);
    expect(proofOf('EV_EFI_BOOT_SERVICES_APPLICATION', shown)).toEqual(['digest']);
    expect(proofOf('EV_S_CRTM_VERSION', shown)).toEqual(['data']);
    expect(standingOf(4, shown)).toBe('not-quoted');
  });

  it('shows the PCRs that are asked for', () => {
    const shown = view(BOOT_LOG, PCRS, { pcrs: [7] });
    expect(new Set(shown.events.map(({ pcr }) => pcr))).toEqual(new Set([7]));
    expect(shown.pcrs.map(({ pcr }) => pcr)).toEqual([7]);
    expect(shown.events.at(-1)?.number).toBeGreaterThan(shown.events.length);
  });

  it('shows a log that replays to nothing, and why', () => {
    const locality = concatBytes(asciiBytes('StartupLocality\0'), Uint8Array.of(7));
    const twisted = writeLog([{ pcr: 0, type: EVENT_TYPE.EV_NO_ACTION, data: locality }, ...bootEvents()]);
    const shown = view(twisted, PCRS);
    expect(shown.problem).toContain('StartupLocality');
    expect(standingOf(4, shown)).toBe('differs');
    expect(new Set(shown.events.map(({ proven }) => proven))).toEqual(new Set(['nothing']));
    const banks = [SHA256, hashOf(ALG.SHA384)];
    const event = {
      pcr: 8,
      type: 0x0d,
      data: asciiBytes('x'),
      digests: [{ id: 0x0c, bytes: new Uint8Array(48) }],
    };
    const partial = concatBytes(writeLog(bootEvents(), banks), writeEvent(event, banks));
    expect(view(partial)).toMatchObject({ problem: expect.stringContaining('sha256'), pcrs: [] });
    expect(view(partial).events.at(-1)).not.toHaveProperty('digest');
  });

  it('Q55 hides no fault of our own', () => {
    const log = { hashes: [SHA256], events: null as never };
    expect(() => viewEventLog({ log, hash: SHA256 })).toThrow(TypeError);
  });

  it('A10 is printable and short, whatever the log says', () => {
    const texts = ['\x1b[2Jowned\r\n', '\u202e\u0000x', '\\\'"`', 'y'.repeat(100_000)];
    const events = texts.map((text): WrittenEvent => ({ pcr: 8, type: 0x0d, data: Buffer.from(text) }));
    for (const { description } of view(writeLog(events)).events) {
      expect(description).toMatch(/^[\x20-\x7e]*...?"?...?$/);
      expect(description.length).toBeLessThan(700);
    }
  });

  it('is bounded: 4096 events, and how many more there are', () => {
    const event = Buffer.from(writeEvent({ pcr: 8, type: 0x0d, data: asciiBytes('x') }));
    const log = concatBytes(BOOT_LOG, Buffer.alloc(5000 * event.length, event));
    const shown = view(log);
    expect(shown.events).toHaveLength(4096);
    expect(shown.omitted).toBe(5000 + bootEvents().length - 4096);
  });
});
