import { describe, expect, test } from 'vitest';
import type { Facts } from '../../../src/attestation/node.ts';
import { checkFacts } from '../../../src/attestation/policy/facts-rule.ts';
import type { Policy } from '../../../src/attestation/policy/policy.ts';
import type { Purpose } from '../../../src/attestation/quote/purpose.ts';
import { BUILT_IN } from '../appraisal-fixture.ts';

const FACTS: Facts = { identity: 'certified', admission: 'listed', state: 'measured' };

function codesFor(facts: Partial<Facts>, policy: Partial<Policy> = {}, purpose: Purpose = 'boot') {
  return checkFacts({ ...FACTS, ...facts }, { ...BUILT_IN, ...policy }, purpose).map(({ code }) => code);
}

describe('identity', () => {
  test('that is certified passes everywhere, uncertified where policy takes it', () => {
    expect(codesFor({})).toEqual([]);
    expect(codesFor({}, { identity: 'certified' })).toEqual([]);
    expect(codesFor({ identity: 'uncertified' }, { identity: 'uncertified' })).toEqual([]);
    expect(codesFor({ identity: 'uncertified' }, { identity: 'certified' })).toEqual(['identity-too-low']);
  });
});

describe('the state at enrolment', () => {
  test('may be self-reported where an operator can still vouch for the ROM', () => {
    expect(codesFor({ state: 'self-reported' }, { state: ['rom-asserted'] }, 'enrol')).toEqual([]);
    expect(codesFor({ state: 'self-reported' }, { state: ['rom-asserted'] })).toEqual(['state-not-accepted']);
  });

  test('may not be another one that policy leaves out', () => {
    expect(codesFor({}, { state: ['rom-asserted'] }, 'enrol')).toEqual(['state-not-accepted']);
  });
});
