import { describe, expect, it } from 'vitest';
import type { Purpose } from '../../../src/attestation/quote/purpose.ts';
import { verifyEvidence } from '../../../src/attestation/verify.ts';
import { asciiBytes, sha256 } from '../../../src/core/bytes.ts';
import { bootEvents, writeLog } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import { BOOT_LOG, codesOf, POLICY, pcrsOf, sealEvidence, validInput } from '../evidence-fixture.ts';

const ZERO = new Uint8Array(32);
const releaseDigest = sha256(asciiBytes('the release manifest'));
const session = { releaseDigest, resetCount: 7, restartCount: 2 };
const granted = sha256(ZERO, releaseDigest);
const poison = sha256(ZERO, sha256(asciiBytes('bootward poison v1')));

const pcrs = pcrsOf(BOOT_LOG);
const verdictFor = (purpose: Purpose, pcr14: Uint8Array, of: typeof session | null = session) =>
  verifyEvidence(
    validInput({
      untrustedEvidence: sealEvidence({ log: BOOT_LOG, pcrs: new Map([...pcrs, [14, pcr14]]) }),
      purpose,
      ...(of && { session: of }),
    }),
  );

describe('PCR 14 and the purpose of evidence', () => {
  it.each<[Purpose, Uint8Array]>([
    ['enrol', ZERO],
    ['boot', ZERO],
    ['health', granted],
    ['reattest', granted],
  ])('accepts %s evidence with its own PCR 14', (purpose, value) => {
    expect(verdictFor(purpose, value)).toMatchObject({ verdict: 'accept', reasons: [] });
  });

  it.each<Purpose>(['enrol', 'boot'])('P1 refuses %s evidence from the running system', (purpose) => {
    expect(codesOf(verdictFor(purpose, granted))).toEqual(['pcr14-not-zero']);
  });

  it('P3 refuses boot evidence after the poison value', () => {
    expect(codesOf(verdictFor('boot', poison))).toEqual(['pcr14-not-zero']);
  });

  it.each([0, 13, 31])('P3 refuses a PCR 14 that is zero but for byte %d', (index) => {
    expect(codesOf(verdictFor('boot', Uint8Array.from(ZERO).fill(1, index, index + 1)))).toEqual([
      'pcr14-not-zero',
    ]);
  });

  it.each<Purpose>(['health', 'reattest'])('P4 refuses boot evidence presented as %s', (purpose) => {
    expect(codesOf(verdictFor(purpose, ZERO))).toEqual(['pcr14-not-release']);
  });

  it("P2 refuses another release's digest, and the same one extended twice", () => {
    expect(codesOf(verdictFor('health', sha256(ZERO, sha256(ZERO))))).toEqual(['pcr14-not-release']);
    expect(codesOf(verdictFor('health', sha256(granted, releaseDigest)))).toEqual(['pcr14-not-release']);
  });

  it("P2 refuses another session's counters", () => {
    expect(codesOf(verdictFor('health', granted, { ...session, resetCount: 6 }))).toEqual([
      'session-mismatch',
    ]);
    expect(codesOf(verdictFor('health', granted, { ...session, restartCount: 1 }))).toEqual([
      'session-mismatch',
    ]);
  });

  // Reset through its GPIO, a TPM takes whatever is extended: the values tell nothing, the count of resets does.
  it('Q59 refuses running evidence after the TPM alone was reset and every PCR was extended again', () => {
    const clockInfo = { clock: 5n, resetCount: 8, restartCount: 0, safe: true };
    const replayed = new Map([...pcrs, [14, granted]] as const);
    const untrustedEvidence = sealEvidence({ log: BOOT_LOG, pcrs: replayed, changes: { clockInfo } });
    const verdict = verifyEvidence(validInput({ untrustedEvidence, purpose: 'health', session }));
    expect(codesOf(verdict)).toEqual(['session-mismatch']);
  });

  it('P2 refuses running evidence that belongs to no session', () => {
    expect(codesOf(verdictFor('health', granted, null))).toEqual(['session-missing']);
  });

  it('P4 refuses any purpose when the quote leaves PCR 14 out', () => {
    const fewer = new Map([...pcrs].filter(([pcr]) => pcr !== 14));
    const verdict = verifyEvidence(
      validInput({
        untrustedEvidence: sealEvidence({ log: BOOT_LOG, pcrs: fewer }),
        policy: { ...POLICY, pcrs: [...fewer.keys()] },
      }),
    );
    expect(codesOf(verdict)).toEqual(['selection-incomplete']);
  });

  it('refuses a firmware log that claims events in PCR 14', () => {
    const log = writeLog([...bootEvents(), { pcr: 14, type: 0x0d, data: asciiBytes('MokList') }]);
    const verdict = verifyEvidence(
      validInput({ untrustedEvidence: sealEvidence({ log, pcrs: new Map([...pcrsOf(log), [14, ZERO]]) }) }),
    );
    expect(codesOf(verdict)).toEqual(['event-log-replay-mismatch']);
  });

  it('treats PCR 14 like any other when there is no purpose', () => {
    const { purpose: _none, ...input } = validInput();
    expect(verifyEvidence(input).verdict).toBe('accept');
    const extended = sealEvidence({ log: BOOT_LOG, pcrs: new Map([...pcrs, [14, granted]]) });
    expect(codesOf(verifyEvidence({ ...input, untrustedEvidence: extended }))).toEqual([
      'event-log-replay-mismatch',
    ]);
  });
});

describe('reference values', () => {
  const verdictWith = (referenceValues: typeof POLICY.referenceValues) =>
    verifyEvidence(validInput({ policy: { ...POLICY, referenceValues } }));
  const value = pcrs.get(4) ?? ZERO;

  it('P12 accepts a listed value and refuses any other', () => {
    expect(verdictWith([{ pcr: 4, accepted: [ZERO, value] }]).verdict).toBe('accept');
    expect(codesOf(verdictWith([{ pcr: 4, accepted: [ZERO] }]))).toEqual(['pcr-mismatch']);
  });

  it('P12 says the first three of the accepted values, and that there are more', () => {
    const [a, b, c, d] = [1, 2, 3, 4].map((byte) => new Uint8Array(32).fill(byte));
    if (!a || !b || !c || !d) throw new Error('four values were made');
    const messageFor = (...accepted: Uint8Array[]) => verdictWith([{ pcr: 4, accepted }]).reasons[0]?.message;
    expect(messageFor(a, b, c)).toMatch(/: expected (?:01){32} or (?:02){32} or (?:03){32}$/);
    expect(messageFor(a, b, c, d)).toMatch(/ or (?:03){32} or others$/);
  });

  it('Q58 refuses a reference that cannot be compared', () => {
    expect(verdictWith([{ pcr: 4, accepted: [] }]).reasons).toEqual([
      { code: 'reference-unusable', message: 'PCR 4: policy accepts no value' },
    ]);
    expect(verdictWith([{ pcr: 10, accepted: [ZERO] }]).reasons).toEqual([
      { code: 'reference-unusable', message: 'PCR 10: policy refers to it, but it is not quoted' },
    ]);
  });
});
