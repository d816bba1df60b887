import { describe, expect, test } from 'vitest';
import { formatPolicy } from '../../../src/attestation/policy/format-policy.ts';
import { PolicyError, parsePolicy } from '../../../src/attestation/policy/parse-policy.ts';
import { builtInPolicy, type PcrRule, type Policy } from '../../../src/attestation/policy/policy.ts';

const DIGEST = 'ab'.repeat(32);
const YEAR = 31_536_000;
const BUILT_IN = builtInPolicy({ eventLog: 'required', secureBoot: 'required' });
const VALID: Policy = { ...BUILT_IN, channels: ['demo'] };

const read = (changes: Partial<Policy> = {}) => parsePolicy(formatPolicy({ ...VALID, ...changes }));
const withRule = (rule: PcrRule) => {
  const pcrs = { ...VALID.pcrs, 9: rule };
  return read({ pcrs, pcrsAfterHandover: pcrs }).pcrs[9];
};
const reasonOf = (reason: string): PcrRule => ({ kind: 'ignore', reason });
const channels = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);

describe('the limits of a policy document', () => {
  test('64 KiB and no byte more', () => {
    const padded = (length: number) => formatPolicy(VALID).concat('# ').padEnd(length, 'x');
    expect(parsePolicy(padded(65_536))).toEqual(VALID);
    expect(() => parsePolicy(padded(65_537))).toThrow(/^the document: expected YAML or JSON \(.+\)$/);
  });

  test('64 items in a list', () => {
    expect(read({ channels: channels(64) }).channels).toHaveLength(64);
    expect(() => read({ channels: channels(65) })).toThrow('channels: expected a list of 1 to 64');
  });

  test('a year in seconds', () => {
    const reattest = { everySeconds: YEAR, graceSeconds: YEAR };
    expect(read({ reattest }).reattest).toEqual(reattest);
    expect(read({ reattest: { everySeconds: 60, graceSeconds: 0 } }).reattest?.graceSeconds).toBe(0);
    for (const name of ['everySeconds', 'graceSeconds'])
      expect(() => read({ reattest: { ...reattest, [name]: YEAR + 1 } })).toThrow(
        `reattest.${name}: expected`,
      );
  });

  test('200 printable characters in a reason', () => {
    const longest = 'x'.repeat(200);
    expect(withRule(reasonOf(longest))).toEqual(reasonOf(longest));
    for (const reason of [`${longest}x`, 'a\nreason', '\u00e9 reason', 'a reason \u00e9'])
      expect(() => withRule(reasonOf(reason))).toThrow('pcrs.9.ignore: expected the reason');
  });

  test.each([`0${DIGEST}`, `${DIGEST}0`, `${DIGEST}\n`])('a digest of 64 digits: not %j', (digest) => {
    expect(() => withRule({ kind: 'values', accepted: [digest] })).toThrow('pcrs.9.values.0: expected 64');
    expect(() => read({ secureBoot: { state: 'required', db: [digest] } })).toThrow(
      'secureBoot.db.0: expected 64',
    );
  });

  test('one kind of rule for each PCR', () => {
    const text = formatPolicy(VALID).replace(
      /^ {2}9: .*$/m,
      `  9: { values: ["${DIGEST}"], ignore: "both" }`,
    );
    expect(() => parsePolicy(text)).toThrow('pcrs.9: expected a rule: ');
  });

  test('what is told of a key that nobody knows', () => {
    const long = 'k'.repeat(60);
    expect(() => parsePolicy(`${formatPolicy(VALID)}${long}: 1\n`)).toThrow(
      new PolicyError(
        'k'.repeat(40),
        'one of format, name, version, channels, identity, admission, state, eventLog, secureBoot, pcrs, baseline, afterHandover, reattest',
      ),
    );
  });
});

test('the built-in policy is for no channel by name, so its document says that it wants one', () => {
  expect(BUILT_IN.channels).toEqual([]);
  expect(() => parsePolicy(formatPolicy(BUILT_IN))).toThrow('channels: expected a list of 1 to 64');
});
