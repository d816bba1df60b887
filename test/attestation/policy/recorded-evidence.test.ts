import { describe, expect, test } from 'vitest';
import { evidenceDocumentOf } from '../../../src/attestation/appraisal.ts';
import { appraiseRecorded } from '../../../src/attestation/policy/recorded-evidence.ts';
import { createSoftwareAk } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  appraisalInput,
  BUILT_IN,
  baselineOf,
  COUNTERS,
  decide,
  LOGLESS,
  NEXT_STAGE0,
  policyWith,
  runningInput,
  STAGE0,
} from '../appraisal-fixture.ts';

type Input = ReturnType<typeof appraisalInput>;

/** The evidence as it was kept, under what holds for the node now. */
function tryOn(input: Input, now: Partial<Input> = {}, document = evidenceDocumentOf(input)) {
  return appraiseRecorded({ ...input, ...now, evidenceDocument: document });
}

const strict = (db: string) => ({ ...BUILT_IN, secureBoot: { state: 'required' as const, db: [db] } });

describe('a policy tried on evidence that is kept', () => {
  test.each<[string, Input]>([
    ['a boot', appraisalInput()],
    ['an enrolment', appraisalInput({ purpose: 'enrol' })],
    ['a running system', runningInput()],
    ['a boot without a log', appraisalInput({ policy: LOGLESS, log: undefined })],
    ['a withdrawn stage-0', appraisalInput({ stage0References: [{ ...STAGE0, listed: false }] })],
    ['a running one', runningInput({ stage0References: [NEXT_STAGE0, { ...STAGE0, listed: false }] })],
    ['a changed firmware', appraisalInput({ attester: { baseline: { ...baselineOf(), pcrs: {} } } })],
    ['a way in that is not accepted', appraisalInput({ attester: { admission: 'open' } })],
    ['a PCR that must be zero', appraisalInput({ policy: policyWith({ 3: { kind: 'zero' } }) })],
    [
      'such a PCR beside a way in that is not accepted',
      appraisalInput({ policy: policyWith({ 3: { kind: 'zero' } }), attester: { admission: 'open' } }),
    ],
  ])('says what it says to the evidence itself: %s', (_, input) => {
    const { verdict, reasons, notes } = decide(input);
    expect(tryOn(input)).toEqual({ verdict, reasons, notes });
  });

  test('says what it would have said instead of the one in force', () => {
    const input = appraisalInput();
    const tried = tryOn(input, { policy: strict('00'.repeat(32)) });
    expect([tried.verdict, tried.reasons.map(({ code }) => code)]).toEqual(['refuse', ['secure-boot-db']]);
    const identity = { ...input.attester, identity: 'uncertified' as const };
    const certified = { ...BUILT_IN, identity: 'certified' as const };
    expect(tryOn(input, { attester: identity, policy: certified }).reasons[0]?.code).toBe('identity-too-low');
  });

  test('does not ask for counters that have risen since', () => {
    const input = appraisalInput();
    const counters = { ...COUNTERS, resetCount: COUNTERS.resetCount + 9 };
    expect(tryOn(input, { attester: { ...input.attester, counters } }).verdict).toBe('accept');
  });

  test('does not take what is of another key, altered, or no evidence for evidence', () => {
    const input = appraisalInput();
    const other = { ...input.attester, akPublic: createSoftwareAk().publicBytes };
    expect(tryOn(input, { attester: other }).reasons[0]?.code).toBe('ak-mismatch');
    const { purpose: _, ...withoutPurpose } = JSON.parse(evidenceDocumentOf(input));
    const {
      challenge: _challenge,
      claims: _claims,
      ...withoutClaims
    } = JSON.parse(evidenceDocumentOf(input));
    for (const document of [withoutPurpose, withoutClaims])
      expect(tryOn(input, {}, JSON.stringify(document)).reasons[0]?.code).toBe('evidence-malformed');
    expect(tryOn(input, {}, '').verdict).toBe('refuse');
    const { signature, ...rest } = JSON.parse(evidenceDocumentOf(input));
    const forged = JSON.stringify({
      ...rest,
      signature: signature.replace(/.$/, (digit: string) => (digit === '0' ? '1' : '0')),
    });
    expect(tryOn(input, {}, forged).reasons[0]?.code).toBe('signature-invalid');
  });
});
