import { expect, test } from 'vitest';
import { appraiseState } from '../../../src/attestation/policy/appraise-state.ts';
import { appraisalInput, COUNTERS, LOG } from '../appraisal-fixture.ts';
import { pcrsOf } from '../evidence-fixture.ts';

test.each([4, 11])('a quote without PCR %d shows no stage-0', (missing) => {
  const pcrs = new Map([...pcrsOf(LOG)].filter(([pcr]) => pcr !== missing));
  const quote = { pcrs, counters: COUNTERS, clockIsSafe: true };
  const { findings, meaning } = appraiseState({ ...appraisalInput(), quote, claimedBuild: 41 });
  expect(findings.map(({ code }) => code)).toEqual(['stage0-not-listed']);
  expect(meaning.stage0).toBeUndefined();
});
