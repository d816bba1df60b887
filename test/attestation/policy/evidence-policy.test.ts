import { describe, expect, test } from 'vitest';
import { evidenceDocumentOf } from '../../../src/attestation/appraisal.ts';
import { verifyEvidenceDocument } from '../../../src/attestation/evidence/evidence-file.ts';
import { asciiBytes, fromHex, sha256, toHex } from '../../../src/core/bytes.ts';
import {
  appraisalInput,
  BUILT_IN,
  decide,
  LOGLESS,
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
