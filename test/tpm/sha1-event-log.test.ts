import { describe, expect, it } from 'vitest';
import { asciiBytes, concatBytes, toHex } from '../../src/core/bytes.ts';
import { le32 } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { replayEventLog } from '../../src/tpm/event-log-replay.ts';
import { EVENT_TYPE } from '../../src/tpm/event-types.ts';
import { parseSha1EventLog } from '../../src/tpm/sha1-event-log.ts';

const LIMITS = { maxBytes: 4096, maxEvents: 16 };
const DIGEST = new Uint8Array(20).fill(7);

/** TCG_PCR_EVENT (PFP 1.06, section 10.2.1). */
function sha1Event(event: { pcr: number; type: number; data: Uint8Array }): Uint8Array {
  return concatBytes(le32(event.pcr), le32(event.type), DIGEST, le32(event.data.length), event.data);
}

const EVENT = sha1Event({ pcr: 8, type: EVENT_TYPE.EV_SEPARATOR, data: asciiBytes('data') });
const NO_PCR = 0xffff_ffff;
const codeOf = (bytes: Uint8Array, limits = LIMITS): string => {
  try {
    parseSha1EventLog(bytes, limits);
    return 'read';
  } catch (cause) {
    return (cause as { code: string }).code;
  }
};

describe('a SHA-1 event log', () => {
  it('is read from the first byte to the last, each event with its one digest', () => {
    const log = parseSha1EventLog(concatBytes(EVENT, EVENT), LIMITS);
    expect(log.hashes.map(({ name }) => name)).toEqual(['sha1']);
    expect(log.events).toHaveLength(2);
    expect(log.events[1]).toMatchObject({ pcr: 8, type: EVENT_TYPE.EV_SEPARATOR });
    expect(log.events[1]?.digests.map((digest) => digest && toHex(digest))).toEqual([toHex(DIGEST)]);
    expect(toHex(log.events[1]?.data ?? DIGEST)).toBe(toHex(asciiBytes('data')));
    expect([...(replayEventLog(log).get('sha1')?.keys() ?? [])]).toEqual([8]);
  });

  it('is empty when it has no bytes', () => {
    expect(parseSha1EventLog(new Uint8Array(0), LIMITS).events).toEqual([]);
  });

  it('is refused cut off at any byte of an event', () => {
    for (let length = 1; length < EVENT.length; length += 1)
      expect(codeOf(EVENT.subarray(0, length))).toBe('truncated');
  });

  it('L5 costs nothing when a length says 4 GiB', () => {
    const bytes = Uint8Array.from(EVENT);
    bytes.set(le32(0xffff_ffff), 28);
    expect(codeOf(bytes)).toBe('truncated');
  });

  it('L35 is read up to its limit of bytes, and not one byte beyond', () => {
    expect(codeOf(EVENT, { ...LIMITS, maxBytes: EVENT.length })).toBe('read');
    expect(codeOf(EVENT, { ...LIMITS, maxBytes: EVENT.length - 1 })).toBe('log-too-large');
  });

  it('L36 is read up to its limit of events, and not one event beyond', () => {
    const two = concatBytes(EVENT, EVENT);
    expect(codeOf(two, { ...LIMITS, maxEvents: 2 })).toBe('read');
    expect(codeOf(two, { ...LIMITS, maxEvents: 1 })).toBe('log-too-large');
  });

  it.each<[string, number, number, string]>([
    ['L29 PCR 23 is there', 23, EVENT_TYPE.EV_SEPARATOR, 'read'],
    ['L29 PCR 24 is refused', 24, EVENT_TYPE.EV_SEPARATOR, 'invalid-value'],
    ['L29 PCR 24 is refused in an informative event too', 24, EVENT_TYPE.EV_NO_ACTION, 'invalid-value'],
    ['L30 PCR -1 is refused in an event that extends', NO_PCR, EVENT_TYPE.EV_SEPARATOR, 'invalid-value'],
    ['PCR -1 may stand in an informative event', NO_PCR, EVENT_TYPE.EV_NO_ACTION, 'read'],
  ])('%s', (_name, pcr, type, code) => {
    expect(codeOf(sha1Event({ pcr, type, data: new Uint8Array(0) }))).toBe(code);
  });
});
