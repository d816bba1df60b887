import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse as parseYaml } from 'yaml';
import { concatBytes, EMPTY, sha256, toHex } from '../../src/core/bytes.ts';
import { ALG } from '../../src/tpm/algorithms.ts';
import { TpmFormatError } from '../../src/tpm/errors.ts';
import { parseEventLog } from '../../src/tpm/event-log.ts';
import { replayEventLog, startValue } from '../../src/tpm/event-log-replay.ts';
import { eventTypeName } from '../../src/tpm/event-types.ts';
import { bootEvents, le32, writeEvent, writeLog } from '../attestation/event-log/event-log-writer.ts';
import { BOOT_LOG } from '../attestation/evidence-fixture.ts';
import { hashOf, SHA256 } from '../attestation/software-ak.ts';

const CORPORA = '../shared/corpora';
const GO_TPM_TOOLS = join(CORPORA, 'google/go-tpm-tools');
const TPM2_TOOLS = join(CORPORA, 'tpm2-software/tpm2-tools/test/integration/fixtures');
const GO_ATTESTATION = join(CORPORA, 'google/go-attestation/attest/testdata');

type Banks = Record<string, Record<string, string>>;

function replayFile(path: string): Banks {
  const banks = replayEventLog(parseEventLog(readFileSync(path)));
  return Object.fromEntries(
    [...banks].map(([bank, pcrs]) => [
      bank,
      Object.fromEntries([...pcrs].map(([pcr, value]) => [String(pcr), toHex(value)])),
    ]),
  );
}

/** Logs of the sources that do not replay here, and why. Who is right stands beside it. */
const DEVIATIONS: Readonly<Record<string, string>> = {
  'debian-10.bin': 'log-sha1-format', // the old SHA-1 format: refused by name, no other bank could be proven
  'event-uefi-sha1-log.bin': 'log-sha1-format',
  'specid-vendordata.bin': 'truncated', // EventSize leaves the vendor data out: the file is wrong, tpm2-tools lenient
};

interface Expectation {
  name: string;
  path: string;
  banks: Banks;
}

function goTpmTools(): Expectation[] {
  const path = join(GO_TPM_TOOLS, 'expected/eventlog_pcrs.json');
  if (!existsSync(path)) return [];
  const document: Record<string, { file?: string; banks?: Banks }> = JSON.parse(readFileSync(path, 'utf8'));
  return Object.entries(document).flatMap(([machine, { file, banks }]) => {
    const log = join(GO_TPM_TOOLS, file ?? '');
    return file && banks && existsSync(log)
      ? [{ name: `${machine}: ${file.split('/').at(-1)}`, path: log, banks }]
      : [];
  });
}

/** The `pcrs:` block at the end of each YAML rendering; values are 0x-hex, so they must stay text. */
function tpm2Tools(): Expectation[] {
  const names = ['event-arch-linux', 'event-bootorder', 'event-gce-ubuntu-2104-log', 'event-moklisttrusted'];
  const more = ['event-postcode', 'event-sd-boot-fedora37', 'event-uefi-sha1-log', 'event-uefiaction'];
  return [...names, ...more, 'event-uefiservices', 'event-uefivar'].flatMap((name) => {
    const yaml = join(TPM2_TOOLS, 'event-pretty', `${name}.bin.yaml`);
    if (!existsSync(yaml)) return [];
    const text = readFileSync(yaml, 'utf8');
    const block = text.slice(text.lastIndexOf('\npcrs:'));
    const { pcrs } = parseYaml(block, { schema: 'failsafe' }) as { pcrs: Banks };
    const banks = Object.fromEntries(
      Object.entries(pcrs).map(([bank, values]) => [
        bank,
        Object.fromEntries(
          Object.entries(values).map(([pcr, value]) => [pcr.trim(), value.slice(2).toLowerCase()]),
        ),
      ]),
    );
    return [{ name: `${name}.bin`, path: join(TPM2_TOOLS, `${name}.bin`), banks }];
  });
}

describe.skipIf(!existsSync(CORPORA))('logs of other projects', () => {
  it.each([...goTpmTools(), ...tpm2Tools()])('$name replays to what its source states', ({ path, banks }) => {
    const deviation = DEVIATIONS[path.split('/').at(-1) ?? ''];
    if (deviation !== undefined) {
      expect(() => replayFile(path)).toThrow(expect.objectContaining({ code: deviation }));
      return;
    }
    const replayed = replayFile(path);
    for (const [bank, values] of Object.entries(banks)) expect(replayed[bank], bank).toEqual(values);
  });

  it('go-attestation: a log without its ExitBootServices event parses, a log of StartupLocality alone is refused', () => {
    expect(() => parseEventLog(readFileSync(join(GO_ATTESTATION, 'short_no_action_eventlog')))).toThrow(
      expect.objectContaining({ code: 'log-sha1-format' }),
    );
    expect(Object.keys(replayFile(join(GO_ATTESTATION, 'crypto_agile_eventlog')))).toEqual(['sha256']);
  });

  it('tpm2-tools: vendor data outside its event is refused', () => {
    expect(() => replayFile(join(TPM2_TOOLS, 'specid-vendordata.bin'))).toThrow(
      expect.objectContaining({ code: DEVIATIONS['specid-vendordata.bin'] }),
    );
  });
});

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
