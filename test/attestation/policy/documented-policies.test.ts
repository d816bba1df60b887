import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { parsePolicy } from '../../../src/attestation/policy/parse-policy.ts';
import { builtInPolicy, type Policy, QUOTED_PCRS } from '../../../src/attestation/policy/policy.ts';
import { appraisalInput, baselineOf, decide, reasonsIn } from '../appraisal-fixture.ts';

// Whoever copies an example from docs/policy.md gets what the page says.

const PAGE = readFileSync(new URL('../../../docs/policy.md', import.meta.url), 'utf8');
const EXAMPLES = new Map(
  [...PAGE.matchAll(/```yaml\n([^`]*)```/g)].map(([, text = '']): [string, Policy] => {
    const policy = parsePolicy(text);
    return [policy.name, policy];
  }),
);

function example(name: string): Policy {
  const policy = EXAMPLES.get(name);
  if (policy === undefined) throw new Error(`no example ${name}`);
  return policy;
}

describe('docs/policy.md', () => {
  test('has three examples, and each is a policy', () => {
    expect([...EXAMPLES.keys()]).toEqual(['fleet', 'pi', 'strict']);
  });

  test('fleet: asks of the PCRs what the built-in policy asks, and accepts a machine in order', () => {
    const policy = example('fleet');
    expect(policy.pcrs).toEqual(builtInPolicy({ eventLog: 'required', secureBoot: 'required' }).pcrs);
    expect(decide(appraisalInput({ policy })).verdict).toBe('accept');
  });

  test('pi: accepts a board without measurements that an operator vouches for, and no other', () => {
    const policy = example('pi');
    const zeros = Object.fromEntries(QUOTED_PCRS.map((pcr) => [pcr, '00'.repeat(32)]));
    const board = (romAsserted: boolean, pcrs = zeros) =>
      decide(appraisalInput({ policy, log: undefined, pcrs, attester: { romAsserted } }));
    expect(board(true)).toMatchObject({ verdict: 'accept', accepted: { state: 'rom-asserted' } });
    expect(reasonsIn(board(false))).toEqual(['state-not-accepted']);
    expect(reasonsIn(board(true, { ...zeros, 4: '44'.repeat(32) }))).toEqual(['pcr-mismatch']);
  });

  test('strict: refuses signers that it does not list, and holds firmware that nobody approved', () => {
    const policy = example('strict');
    expect(reasonsIn(decide(appraisalInput({ policy })))).toEqual(['secure-boot-db', 'baseline-missing']);
    const attester = { baseline: baselineOf() };
    expect(reasonsIn(decide(appraisalInput({ policy, attester })))).toEqual(['secure-boot-db']);
  });
});
