import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { concatBytes, EMPTY, sha256, toHex } from '../../src/core/bytes.ts';
import { hashOf, SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import {
  bootEvents,
  le32,
  writeEvent,
  writeHeader,
  writeLog,
} from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { ALG } from '../../src/tpm/algorithms.ts';
import { TpmFormatError } from '../../src/tpm/errors.ts';
import { parseEventLog } from '../../src/tpm/event-log.ts';
import { replayEventLog, startValue } from '../../src/tpm/event-log-replay.ts';
import { eventTypeName } from '../../src/tpm/event-types.ts';
import { BOOT_LOG } from '../attestation/evidence-fixture.ts';

describe('event logs', () => {
  it('L5 cost nothing when a length says 4 GiB', () => {
    const bytes = Uint8Array.from(BOOT_LOG.subarray(0, 40));
    bytes.set(le32(0xffff_ffff), 28);
    expect(() => parseEventLog(bytes)).toThrow(expect.objectContaining({ code: 'truncated' }));
  });

  it('L35 are refused past a limit before they are read', () => {
    const limits = { maxBytes: BOOT_LOG.length - 1, maxEvents: 1000 };
    expect(() => parseEventLog(BOOT_LOG, limits)).toThrow(expect.objectContaining({ code: 'log-too-large' }));
    expect(() => parseEventLog(BOOT_LOG, { maxBytes: 1e6, maxEvents: 3 })).toThrow(
      expect.objectContaining({ code: 'log-too-large' }),
    );
  });

  it('L36 are counted before they are built: a million events fit into no memory at all', async () => {
    const program = `
      import { writeHeader } from './src/fleet-sim/firmware/event-log-writer.ts';
      import { parseEventLog } from './src/tpm/event-log.ts';
      const log = Buffer.concat([writeHeader(), Buffer.alloc(16 * 1_000_001)]);
      try { parseEventLog(log); } catch (cause) { console.log(cause.code); }`;
    const options = ['--max-old-space-size=24', '--input-type=module', '--eval', program];
    const { stdout } = await promisify(execFile)(process.execPath, options);
    expect(stdout).toBe('log-too-large\n');
  });

  it('L36 are refused for what is wrong in them also where they are counted', () => {
    const limits = { maxBytes: 1e6, maxEvents: 2 };
    const undeclared = { pcr: 8, type: 0x0d, data: EMPTY, digests: [{ id: 0x1234, bytes: EMPTY }] };
    const unknown = concatBytes(writeHeader(), writeEvent(undeclared));
    expect(() => parseEventLog(unknown, { ...limits, maxEvents: 1 })).toThrow(
      expect.objectContaining({ code: 'invalid-value' }),
    );
    const two = writeLog(bootEvents().slice(0, 2));
    expect(parseEventLog(two, limits).events).toHaveLength(2);
    expect(() => parseEventLog(two.subarray(0, -1), limits)).toThrow(
      expect.objectContaining({ code: 'truncated' }),
    );
  });

  it('are a value or a format error, whatever the bytes', () => {
    const edits = fc.array(fc.tuple(fc.nat(BOOT_LOG.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(edits, (list) => {
        const bytes = Uint8Array.from(BOOT_LOG);
        for (const [offset, value] of list) bytes[offset] = value;
        try {
          replayEventLog(parseEventLog(bytes));
        } catch (cause) {
          expect(cause).toBeInstanceOf(TpmFormatError);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('start from zero, from all ones where only a dynamic launch extends, and in PCR 0 from the locality', () => {
    const start = (pcr: number, locality?: number) =>
      toHex(startValue({ pcr, hash: SHA256, ...(locality !== undefined && { locality }) }));
    const [zero, ones] = ['00'.repeat(32), 'ff'.repeat(32)];
    expect([0, 1, 16, 23].map((pcr) => start(pcr, 0))).toEqual([zero, zero, zero, zero]);
    expect([17, 20, 22].map((pcr) => start(pcr))).toEqual([ones, ones, ones]);
    expect([start(0, 3), start(1, 3)]).toEqual([`${'00'.repeat(31)}03`, zero]);
  });

  it('give no value of a bank for which an event has no digest', () => {
    const banks = [SHA256, hashOf(ALG.SHA384)];
    const digests = [{ id: ALG.SHA256, bytes: sha256() }];
    const event = { pcr: 8, type: 0x0d, data: EMPTY, digests };
    const log = parseEventLog(concatBytes(writeLog(bootEvents(), banks), writeEvent(event, banks)));
    expect([...replayEventLog(parseEventLog(writeLog(bootEvents(), banks))).keys()]).toEqual([
      'sha256',
      'sha384',
    ]);
    expect([...replayEventLog(log).keys()]).toEqual(['sha256']);
  });

  it('name their types, known or not', () => {
    expect(eventTypeName(4)).toBe('EV_SEPARATOR');
    expect(eventTypeName(0x1234)).toBe('event type 0x00001234');
  });
});
