import { describe, expect, test } from 'vitest';
import { evidenceDocumentOf } from '../../../src/attestation/appraisal.ts';
import { verifyEvidenceDocument } from '../../../src/attestation/evidence/evidence-file.ts';
import { asciiBytes, fromHex, sha256, toHex } from '../../../src/core/bytes.ts';
import {
  appraisalInput,
  BUILT_IN,
  decide,
  LOGLESS,
  NEXT_STAGE0,
  pcrHex,
  policyWith,
  reasonsIn,
  runningInput,
  STAGE0,
} from '../appraisal-fixture.ts';

type Input = ReturnType<typeof appraisalInput>;

const ignore = { kind: 'ignore', reason: 'a reason' } as const;
const OTHER = '44'.repeat(32);
const verdictOfFile = (input: Input) => verifyEvidenceDocument(evidenceDocumentOf(input));

describe('the file that is kept', () => {
  test('holds no PCR against stage-0 where policy asks none', () => {
    const policy = policyWith(
      { 4: ignore, 11: ignore },
      { eventLog: 'optional', state: ['self-reported'], secureBoot: { state: 'optional', db: 'any' } },
    );
    const input = appraisalInput({ policy, log: undefined, pcrs: { 4: OTHER, 11: OTHER } });
    expect([decide(input).verdict, verdictOfFile(input).verdict]).toEqual(['accept', 'accept']);
  });

  test('takes no stage-0 that firmware did not verify where Secure Boot is required', () => {
    const unverified = { ...STAGE0, pcr4SecureBoot: OTHER, pcr4NoSecureBoot: pcrHex(4) };
    const input = (policy: typeof BUILT_IN) => appraisalInput({ policy, stage0References: [unverified] });
    expect([decide(input(BUILT_IN)).verdict, verdictOfFile(input(BUILT_IN)).verdict]).toEqual([
      'refuse',
      'refuse',
    ]);
    expect(verdictOfFile(input(LOGLESS)).verdict).toBe('accept');
  });

  test('takes PCR 4 and PCR 11 of one listed build only, as the server does', () => {
    const of41 = { ...STAGE0, pcr11: '99'.repeat(32) };
    const of42 = { ...NEXT_STAGE0, pcr11: STAGE0.pcr11 };
    const input = (stage0References: Input['stage0References']) => appraisalInput({ stage0References });
    const mixed = input([of41, of42]);
    expect(reasonsIn(decide(mixed))).toEqual(['stage0-not-listed']);
    expect(verdictOfFile(mixed)).toMatchObject({
      verdict: 'refuse',
      reasons: [
        {
          code: 'stage0-not-listed',
          message: `PCR 4 is ${pcrHex(4)}, PCR 11 is ${pcrHex(11)}: expected what one listed stage-0 leaves in both of them`,
        },
      ],
    });
    const whole = input([of41, of42, STAGE0]);
    expect([decide(whole).verdict, verdictOfFile(whole).verdict]).toEqual(['accept', 'accept']);
  });

  test('refuses every stage-0 where none is listed', () => {
    const input = appraisalInput({ stage0References: [{ ...STAGE0, listed: false }] });
    expect(JSON.parse(evidenceDocumentOf(input)).policy.stage0).toEqual([]);
    expect(verdictOfFile(input).reasons.map(({ code }) => code)).toEqual(['stage0-not-listed']);
  });

  test('that an older server wrote, PCR by PCR, is decided as it was', () => {
    const document = JSON.parse(evidenceDocumentOf(appraisalInput()));
    const verdictWith = (expected: object) => {
      const { stage0: _, ...policy } = document.policy;
      const text = JSON.stringify({ ...document, policy: { ...policy, expected } });
      const { verdict, reasons } = verifyEvidenceDocument(text);
      return [verdict, ...reasons.map(({ code }) => code)];
    };
    const pcr11 = [NEXT_STAGE0.pcr11, STAGE0.pcr11];
    expect(verdictWith({ 4: [pcrHex(4)], 11: pcr11 })).toEqual(['accept']);
    expect(verdictWith({ 4: [OTHER], 11: pcr11 })).toEqual(['refuse', 'pcr-mismatch']);
  });

  test('names for a running system every phase of the one image that its boot started', () => {
    const input = runningInput({ stage0References: [NEXT_STAGE0, STAGE0] });
    const { stage0 } = JSON.parse(evidenceDocumentOf(input)).policy;
    expect(stage0).toHaveLength(1);
    expect(stage0[0]['11']).toHaveLength(7);
    expect(verdictOfFile(input).verdict).toBe('accept');
  });

  test('of a running system without a session can be written, and refuses', () => {
    const input = runningInput();
    const { session: _, ...attester } = input.attester;
    expect(verdictOfFile({ ...input, attester }).verdict).toBe('refuse');
  });

  test('lists the PCRs that a running system may extend: none of firmware, and not that of the hand-over', () => {
    expect(JSON.parse(evidenceDocumentOf(runningInput())).policy.unlogged).toEqual([8, 9, 11, 12, 13]);
    expect(JSON.parse(evidenceDocumentOf(appraisalInput())).policy).not.toHaveProperty('unlogged');
  });
});

test.each(['boot', 'enrol'] as const)(
  'without a log too, %s evidence shows no phase of systemd',
  (purpose) => {
    const pcr11 = toHex(sha256(fromHex(STAGE0.pcr11), sha256(asciiBytes('sysinit'))));
    const input = (pcrs: Record<number, string>) =>
      appraisalInput({ purpose, policy: LOGLESS, log: undefined, pcrs });
    expect(decide(input({})).verdict).toBe('accept');
    expect(reasonsIn(decide(input({ 11: pcr11 })))).toEqual(['stage0-not-listed']);
  },
);
