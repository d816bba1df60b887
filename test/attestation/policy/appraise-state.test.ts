import { expect, test } from 'vitest';
import { appraiseState } from '../../../src/attestation/policy/appraise-state.ts';
import { fromHex } from '../../../src/core/bytes.ts';
import { shortHex } from '../../../src/core/printable.ts';
import { writeLog } from '../../../src/fleet-sim/firmware/event-log-writer.ts';
import {
  appraisalInput,
  COUNTERS,
  decide,
  LOG,
  NEXT_STAGE0,
  STAGE0,
  stage0Events,
  started,
} from '../appraisal-fixture.ts';
import { pcrsOf } from '../evidence-fixture.ts';

test.each([4, 11])('a quote without PCR %d shows no stage-0', (missing) => {
  const pcrs = new Map([...pcrsOf(LOG)].filter(([pcr]) => pcr !== missing));
  const quote = { pcrs, counters: COUNTERS, clockIsSafe: true };
  const { findings, meaning } = appraiseState({ ...appraisalInput(), quote, claimedBuild: 41 });
  expect(findings.map(({ code }) => code)).toEqual(['stage0-not-listed']);
  expect(meaning.stage0).toBeUndefined();
});

const NEWEST = `expected digest ${shortHex(fromHex(NEXT_STAGE0.authenticodeSha256 ?? ''))}`;

test.each([
  ['the newest', [STAGE0, NEXT_STAGE0], NEWEST],
  ['the newest, in any order', [NEXT_STAGE0, STAGE0], NEWEST],
  ['what is listed', [{ ...NEXT_STAGE0, listed: false }, STAGE0], 'expected no further event'],
])('the event that differs is told against %s', (_, stage0References, expected) => {
  const log = writeLog([...stage0Events(), started('something of the attacker')]);
  const [reason] = decide(appraisalInput({ log, stage0References })).reasons;
  expect(reason?.code).toBe('stage0-not-listed');
  expect(reason?.message.endsWith(expected)).toBe(true);
});
