import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatPolicy } from '../../../src/attestation/policy/format-policy.ts';
import { parsePolicy } from '../../../src/attestation/policy/parse-policy.ts';
import { builtInPolicy, type PcrRule, type Policy } from '../../../src/attestation/policy/policy.ts';

const BUILT_IN: Policy = {
  ...builtInPolicy({ eventLog: 'required', secureBoot: 'required' }),
  channels: ['demo'],
};

const digest = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => Buffer.from(bytes).toString('hex'));
const digests = fc.uniqueArray(digest, { minLength: 1, maxLength: 3 });
const rule: fc.Arbitrary<PcrRule> = fc.oneof(
  fc.constant<PcrRule>({ kind: 'zero' }),
  fc.constant<PcrRule>({ kind: 'baseline' }),
  digests.map((accepted): PcrRule => ({ kind: 'values', accepted })),
  fc.stringMatching(/^[\x20-\x7e]{1,40}$/).map((reason): PcrRule => ({ kind: 'ignore', reason })),
);
const rules = fc.record({ 1: rule, 5: rule, 9: rule }).map((some) => ({ ...BUILT_IN.pcrs, ...some }));
const name = fc.stringMatching(/^[a-z0-9](?:[a-z0-9-]{0,10}[a-z0-9])?$/);

const policies: fc.Arbitrary<Policy> = fc
  .record({
    name,
    version: fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }),
    channels: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
    identity: fc.constantFrom('certified' as const, 'uncertified' as const),
    db: fc.oneof(fc.constant('any' as const), digests),
    pcrs: rules,
    pcrsAfterHandover: rules,
    reattest: fc.option(
      fc.record({
        everySeconds: fc.integer({ min: 60, max: 86_400 }),
        graceSeconds: fc.integer({ min: 0, max: 86_400 }),
      }),
      { nil: undefined },
    ),
  })
  .map(({ db, reattest, ...given }) => ({
    ...BUILT_IN,
    ...given,
    secureBoot: { state: 'required' as const, db },
    ...(reattest && { reattest }),
  }));

test('the built-in policy is a document like any other', () => {
  expect(parsePolicy(formatPolicy(BUILT_IN))).toEqual(BUILT_IN);
});

test('what holds after the hand-over is written where it differs only', () => {
  expect(formatPolicy(BUILT_IN)).not.toContain('afterHandover');
  const pcrsAfterHandover: Policy['pcrs'] = { ...BUILT_IN.pcrs, 9: { kind: 'zero' } };
  expect(formatPolicy({ ...BUILT_IN, pcrsAfterHandover })).toContain(
    '\nafterHandover:\n  pcrs:\n    9: zero\n',
  );
  expect(formatPolicy({ ...BUILT_IN, pcrsAfterHandover })).not.toContain('    12: zero');
});

test('a policy is read from its document as it was written', () => {
  fc.assert(
    fc.property(policies, (policy) => {
      expect(parsePolicy(formatPolicy(policy))).toEqual(policy);
    }),
  );
});

test('one without baseline names none', () => {
  const { baseline: _none, ...rest } = BUILT_IN;
  const pcrs = { ...BUILT_IN.pcrs, 0: { kind: 'zero' }, 2: { kind: 'zero' }, 7: { kind: 'zero' } } as const;
  const policy: Policy = { ...rest, pcrs, pcrsAfterHandover: pcrs };
  expect(formatPolicy(policy)).not.toContain('baseline');
  expect(parsePolicy(formatPolicy(policy))).toEqual(policy);
});
