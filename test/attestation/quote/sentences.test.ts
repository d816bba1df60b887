import { describe, expect, it } from 'vitest';
import { type VerifyEvidenceInput, verifyEvidence } from '../../../src/attestation/verify.ts';
import { EMPTY, sha256 } from '../../../src/core/bytes.ts';
import { buildNvCertify, createSoftwareAk, hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import type { QuoteAttest } from '../../../src/tpm/attest.ts';
import {
  AK,
  BOOT_LOG,
  EXTRA_DATA,
  POLICY,
  POLICY_PCRS,
  pcrsOf,
  sealEvidence,
  validInput,
} from '../evidence-fixture.ts';

// Who has to act on a refusal reads these: what was expected, and what came.

const PCRS = pcrsOf(BOOT_LOG);
const seal = (changes: Partial<QuoteAttest> = {}) => sealEvidence({ log: BOOT_LOG, pcrs: PCRS, changes });
const VALID = seal();
const given = (changes: Partial<typeof VALID>): Partial<VerifyEvidenceInput> => ({
  untrustedEvidence: { ...VALID, ...changes },
});
const selecting = (selections: QuoteAttest['selections']) => given(seal({ selections }));
const without = (...gone: number[]) => new Map([...PCRS].filter(([pcr]) => !gone.includes(pcr)));
const withPcr = (pcr: number, value: Uint8Array) => new Map([...PCRS, [pcr, value]] as const);
const ofType = (type: number) => given({ attest: Buffer.from(VALID.attest).fill(type, 5, 6) });
const CERTIFIED = buildNvCertify({ extraData: EXTRA_DATA, indexName: EMPTY, contents: EMPTY });
const COUNTERS = { clock: 123_456n, resetCount: 7, restartCount: 2, firmwareVersion: 0x2016_0511_0016_2800n };
const SESSION = { releaseDigest: sha256(), resetCount: 6, restartCount: 2 };
const comingAfter = (changes: Partial<typeof COUNTERS>) => ({ previous: { ...COUNTERS, ...changes } });
const pcr14 = (value: Uint8Array) => sealEvidence({ log: BOOT_LOG, pcrs: withPcr(14, value) });
const LOGLESS = sealEvidence({ pcrs: PCRS });

describe('the sentence of a finding', () => {
  it.each<[Partial<VerifyEvidenceInput>, string | RegExp]>([
    [
      given(seal({ extraData: sha256() })),
      /^quote: extraData e3b0c44298fc\.\.\., expected [0-9a-f]{12}\.\.\.: it answers another challenge or covers other claims$/,
    ],
    [given({ attest: CERTIFIED }), 'attestation: type NV, expected QUOTE'],
    [ofType(0x17), 'attestation: type CERTIFY, expected QUOTE'],
    [ofType(0x19), 'attestation: type TIME, expected QUOTE'],
    [given({ attest: EMPTY }), 'attestation: TPMS_ATTEST: 4 bytes wanted at offset 0, 0 left'],
    [selecting([]), 'quote: it selects no PCR, expected those of the policy'],
    [
      selecting([
        { hash: SHA256, pcrs: POLICY_PCRS },
        { hash: SHA256, pcrs: [0] },
      ]),
      'quote: bank sha256 is selected twice, expected once',
    ],
    [
      selecting([
        { hash: SHA256, pcrs: POLICY_PCRS },
        { hash: hashOf(ALG.SHA384), pcrs: [] },
      ]),
      'quote: bank sha384 is selected without any of its PCRs',
    ],
    [
      selecting([
        { hash: hashOf(ALG.SHA384), pcrs: [0] },
        { hash: hashOf(ALG.SHA1), pcrs: [0] },
      ]),
      'quote: expected bank sha256, it covers sha384, sha1',
    ],
    [
      {
        ...given(sealEvidence({ log: BOOT_LOG, pcrs: without(7, 9) })),
        policy: { ...POLICY, pcrs: [4, 7, 9] },
      },
      'quote: expected PCR 4, 7, 9 of sha256, it lacks 7, 9',
    ],
    [
      given({ pcrs: new Map([['sha256', withPcr(0, sha256())]]) }),
      /^quote: the PCR values that came hash to [0-9a-f]{12}\.\.\., quoted was [0-9a-f]{12}\.\.\.$/,
    ],
    [
      given({ pcrs: new Map([['sha256', without(7)]]) }),
      'PCR 7 of sha256: quoted, but no 32-byte value came',
    ],
    [given({ pcrs: new Map() }), 'bank sha256: quoted, but none of its values came'],
    [
      given({ pcrs: new Map([['sha256', withPcr(10, sha256())]]) }),
      'PCR 10 of sha256: a value came that is not quoted',
    ],
    [
      given({ pcrs: new Map([...VALID.pcrs, ['sha1', new Map<number, Uint8Array>()] as const]) }),
      'PCR list of sha1: a value came that is not quoted',
    ],
    [
      given({ signature: createSoftwareAk().sign(EMPTY) }),
      `signature: not made by attestation key ${AK.load().name}`,
    ],
    [given({ signature: EMPTY }), 'signature: TPMT_SIGNATURE: 2 bytes wanted at offset 0, 0 left'],
    [
      given({ signature: Uint8Array.of(0, 0x14, 0, 0x0b, 0, 1, 1) }),
      'signature: RSASSA with sha256, the attestation key makes ECDSA with sha256',
    ],
    [{ policy: { ...POLICY, bank: 'sha1' } }, 'policy: bank sha1, expected one of sha256, sha384, sha512'],
    [{ policy: { ...POLICY, pcrs: [] } }, 'policy: it names no PCR'],
    [
      comingAfter({ resetCount: 8, restartCount: 5 }),
      'TPM counters: (7, 2), expected (8, 5) as before, or higher',
    ],
    [comingAfter({ clock: 123_457n }), 'TPM clock: 123456 ms, expected 123457 ms as before, or more'],
    [
      comingAfter({ firmwareVersion: 1n }),
      'TPM firmware: version 0x2016051100162800, expected 0x1 as before',
    ],
    [
      given(seal({ clockInfo: { ...COUNTERS, safe: false } })),
      'TPM clock: it may have run back after an unorderly shutdown',
    ],
    [{ untrustedEvidence: LOGLESS }, 'event log: policy requires it and none came'],
    [
      { untrustedEvidence: LOGLESS, policy: { ...POLICY, eventLog: 'optional' } },
      'event log: none came; the PCR values are self-reported',
    ],
    [
      { untrustedEvidence: pcr14(sha256()) },
      'PCR 14: expected zero for purpose boot, it is e3b0c44298fc...: this is not stage-0 before its hand-over',
    ],
    [{ purpose: 'health' }, 'purpose health: there is no boot session it could belong to'],
    [
      { purpose: 'health', session: { ...SESSION, resetCount: 7 } },
      /^PCR 14: expected [0-9a-f]{12}\.\.\., one extend of release e3b0c44298fc\.\.\., it is 000000000000\.\.\.$/,
    ],
    [
      {
        purpose: 'health',
        session: SESSION,
        untrustedEvidence: pcr14(sha256(new Uint8Array(32), SESSION.releaseDigest)),
      },
      'TPM counters are (7, 2), at boot they were (6, 2)',
    ],
  ])('%# says what was expected and what came', (changes, sentence) => {
    const { reasons, notes } = verifyEvidence(validInput(changes));
    expect([...reasons, ...notes].map(({ message }) => message)).toEqual([
      typeof sentence === 'string' ? sentence : expect.stringMatching(sentence),
    ]);
  });
});

describe('the banks that are strong enough', () => {
  it.each([ALG.SHA256, ALG.SHA384, ALG.SHA512])('are accepted: TPM_ALG_ID %d', (id) => {
    const bank = hashOf(id);
    const values = new Map(
      POLICY_PCRS.map((pcr) => [pcr, new Uint8Array(bank.size).fill(pcr === 14 ? 0 : 1)]),
    );
    const untrustedEvidence = sealEvidence({ pcrs: values, bank });
    const policy = { ...POLICY, bank: bank.name, eventLog: 'optional' as const };
    expect(verifyEvidence(validInput({ untrustedEvidence, policy }))).toMatchObject({ verdict: 'accept' });
  });
});
