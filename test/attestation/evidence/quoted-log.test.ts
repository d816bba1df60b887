import { describe, expect, it } from 'vitest';
import { encodeEvidenceDocument } from '../../../src/attestation/evidence/evidence-file.ts';
import { readQuotedLog } from '../../../src/attestation/evidence/quoted-log.ts';
import { createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import { AK, BOOT_LOG, EXTRA_DATA, POLICY, pcrsOf, sealEvidence } from '../evidence-fixture.ts';

const PCRS = pcrsOf(BOOT_LOG);
const FIELDS = {
  akPublic: AK.publicBytes,
  expectedExtraData: EXTRA_DATA,
  ...sealEvidence({ log: BOOT_LOG, pcrs: PCRS }),
  policy: POLICY,
};
const read = (changes: Partial<typeof FIELDS>) =>
  readQuotedLog(encodeEvidenceDocument({ ...FIELDS, ...changes }));

describe('the log of kept evidence', () => {
  it('comes with the values that the quote answers for', () => {
    const { bank, untrustedLog, quotedPcrs, fault } = read({});
    expect({ bank, fault }).toEqual({ bank: 'sha256', fault: undefined });
    expect(Buffer.from(untrustedLog ?? []).equals(BOOT_LOG)).toBe(true);
    expect([...(quotedPcrs?.keys() ?? [])]).toEqual([...PCRS.keys()]);
  });

  it.each<[string, Partial<typeof FIELDS>, string]>([
    ['another key signed the quote', { akPublic: createSoftwareAk().publicBytes }, 'signature-invalid'],
    ['the key is none', { akPublic: new Uint8Array(1) }, 'ak-malformed'],
    ['the quote answers another challenge', { expectedExtraData: new Uint8Array(32) }, 'extra-data-mismatch'],
  ])('comes without any value when %s, and says so', (_name, changes, code) => {
    const { untrustedLog, quotedPcrs, fault } = read(changes);
    expect(fault).toMatchObject({ code });
    expect(quotedPcrs).toBeUndefined();
    expect(untrustedLog).toBeDefined();
  });

  it('may be missing', () => {
    const { eventLog: _log, ...logless } = FIELDS;
    const { untrustedLog, quotedPcrs } = readQuotedLog(encodeEvidenceDocument(logless));
    expect(untrustedLog).toBeUndefined();
    expect(quotedPcrs?.size).toBe(PCRS.size);
  });
});
