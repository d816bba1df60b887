import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { verifyEvidence } from '../../../src/attestation/verify.ts';
import { parseAnyLog } from '../../../src/cli/eventlog-file.ts';
import { toHex } from '../../../src/core/bytes.ts';
import { createSoftwareAk, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { parseEventLog } from '../../../src/tpm/event-log.ts';
import { replayBank, replayEventLog } from '../../../src/tpm/event-log-replay.ts';
import { CORPORA } from '../../corpora.ts';
import { codesOf, pcrsOf, sealEvidence, validInput } from '../evidence-fixture.ts';
import { type Banks, type StatedLog, statedLogs } from './stated-pcrs.ts';

/** Statements of other projects that are not held against a replay here; everything else must be equal. */
const NOT_REPLAYED: Readonly<Record<string, string>> = {
  // The header's EventSize leaves its vendor data out (PFP, section 10.4.5.1): the file is wrong. tpm2-tools
  // reads on behind the event; who does that reads another log than the one that was measured.
  'tpm2-tools specid-vendordata.bin.yaml': 'truncated',
  'go-tpm-tools ubuntu-2404-amd-sevsnp.bin': 'not in the corpora',
  'go-tpm-tools glinux-alex.bin': 'not in the corpora',
  'go-tpm-tools gdc-host.bin': 'not in the corpora',
  'go-tpm-tools eventlogwithsp800155.bin': 'not in the corpora',
  'go-tpm-tools confidential-gke-debug-251000_eventlog.bin': 'not in the corpora',
};

const stated = statedLogs();

describe.skipIf(stated.length === 0)('event logs of other projects', () => {
  it('are all there', () => {
    const ours = stated.filter(({ name }) => !(name in NOT_REPLAYED));
    expect(ours).toHaveLength(41);
    expect(ours.filter(({ bytes }) => bytes === undefined)).toEqual([]);
  });

  it.each(stated.filter(({ name }) => !(name in NOT_REPLAYED)))(
    '$name replays to what its source states, in every bank it names',
    ({ bytes, banks }: StatedLog) => {
      const replayed = replayOf(bytes ?? new Uint8Array(0));
      for (const [bank, values] of Object.entries(banks)) expect(replayed[bank], bank).toEqual(values);
    },
  );

  it('tpm2-tools: vendor data outside its event is refused', () => {
    const log = stated.find(({ name }) => NOT_REPLAYED[name] === 'truncated')?.bytes ?? new Uint8Array(0);
    expect(() => parseAnyLog(log)).toThrow(expect.objectContaining({ code: 'truncated' }));
  });
});

function replayOf(log: Uint8Array): Banks {
  const hexOf = (pcrs: ReadonlyMap<number, Uint8Array>) =>
    Object.fromEntries([...pcrs].map(([pcr, value]) => [String(pcr), toHex(value)]));
  return Object.fromEntries([...replayEventLog(parseAnyLog(log))].map(([bank, pcrs]) => [bank, hexOf(pcrs)]));
}

// Logs of real machines, each under a quote that agrees with it: what the rules say must be true of all.
const FOLDERS = [
  'google/go-tpm-tools/internal/test/eventlogs',
  'google/go-attestation/attest/testdata',
  'tpm2-software/tpm2-tools/test/integration/fixtures',
];

/** Not a whole boot, or not in the crypto-agile format: refused, and for these reasons only. */
const REFUSED: Readonly<Record<string, string[]>> = {
  'debian-10.bin': ['event-log-sha1-format'],
  'event-uefi-sha1-log.bin': ['event-log-sha1-format'],
  short_no_action_eventlog: ['event-log-sha1-format'],
  'event.bin': ['event-log-separator-missing'],
  'event-uefiservices.bin': ['event-log-separator-missing'],
  'event-uefiaction.bin': ['event-log-separator-missing'],
  'event-uefivar.bin': ['event-log-separator-missing'],
  'specid-vendordata.bin': ['event-log-malformed'],
};

const logs = existsSync(CORPORA)
  ? FOLDERS.flatMap((folder) =>
      readdirSync(join(CORPORA, folder))
        .filter(
          (name) => /\.bin$|eventlog$/.test(name) && !name.startsWith('get-cap') && !name.startsWith('ek-'),
        )
        .map((name) => ({ name, bytes: new Uint8Array(readFileSync(join(CORPORA, folder, name))) })),
    )
  : [];

describe.skipIf(logs.length === 0)('event logs of real machines', () => {
  const kinds = ['p256', 'rsassa', 'rsapss'] as const;
  const keys = kinds.map((kind) => createSoftwareAk(kind));

  it.each(logs)('$name is judged right under a quote that agrees with it', ({ name, bytes }) => {
    const refusal = REFUSED[name];
    const pcrs = refusal === undefined ? quotedPcrs(bytes) : new Map(quotedPcrs(bytes, true));
    for (const ak of keys) {
      const { verdict, reasons, notes } = verifyEvidence({
        ...validInput({
          ak: ak.load(),
          untrustedEvidence: sealEvidence({ ak, log: bytes, pcrs }),
          policy: { bank: 'sha256', pcrs: [...pcrs.keys()], eventLog: 'required', referenceValues: [] },
        }),
        purpose: undefined as never,
      });
      if (refusal === undefined) expect(reasons).toEqual([]);
      else expect(codesOf({ reasons })).toEqual(refusal);
      expect(verdict).toBe(refusal === undefined ? 'accept' : 'refuse');
      expect(notes).toEqual([]);
    }
  });
});

function quotedPcrs(log: Uint8Array, tolerant = false): Map<number, Uint8Array> {
  const all = Array.from({ length: 16 }, (_, pcr) => pcr);
  try {
    const parsed = parseEventLog(log);
    if (replayBank(parsed, SHA256) === undefined) throw new Error('bank is not covered');
    return pcrsOf(log, { pcrs: all });
  } catch (cause) {
    if (!tolerant) throw cause;
    return new Map(all.map((pcr) => [pcr, new Uint8Array(32).fill(1)]));
  }
}
