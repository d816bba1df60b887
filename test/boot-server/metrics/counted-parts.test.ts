import { expect, test } from 'vitest';
import type { AppraisalInput } from '../../../src/attestation/appraisal.ts';
import { timeVerification } from '../../../src/boot-server/metrics/counted-parts.ts';
import { createMeters } from '../../../src/boot-server/metrics/meters.ts';
import { createRegistry } from '../../../src/boot-server/metrics/registry.ts';
import type { VerificationOutcome } from '../../../src/boot-server/verification/verification.ts';
import { samplesOf } from '../openmetrics.ts';

const COUNT = 'bootward_evidence_verification_seconds_count';
const OUTCOME = { evidenceDocument: 'decided' } as VerificationOutcome;
const TURNED_AWAY = new Error('the server stops');

test.each([
  ['that decides', async () => OUTCOME, OUTCOME],
  ['that throws', () => Promise.reject(TURNED_AWAY), TURNED_AWAY],
])('an appraisal %s is timed once', async (_name, appraise, result) => {
  const registry = createRegistry();
  const timed = timeVerification({ appraise, stop: async () => {} }, createMeters(registry));
  await expect(timed.appraise({} as AppraisalInput).catch((error: unknown) => error)).resolves.toBe(result);
  expect(samplesOf(await registry.metrics()).get(COUNT)).toBe(1);
});
