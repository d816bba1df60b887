import { describe, expect, test } from 'vitest';
import { PolicyError, parsePolicy } from '../../../src/attestation/policy/parse-policy.ts';
import { builtInPolicy, QUOTED_PCRS } from '../../../src/attestation/policy/policy.ts';

const DIGEST = 'ab'.repeat(32);
const ignore = { ignore: 'a reason' };

/** Right in everything; each test changes one thing. */
const VALID = {
  format: 'bootward-policy-v1',
  name: 'edge',
  version: 3,
  channels: ['demo'],
  identity: 'certified',
  admission: ['listed', 'token'],
  state: ['measured'],
  eventLog: 'required',
  secureBoot: { state: 'required', db: [DIGEST] },
  baseline: 'first-boot',
  pcrs: {
    0: 'baseline',
    1: ignore,
    2: 'baseline',
    3: ignore,
    4: 'stage0',
    5: ignore,
    6: ignore,
    7: 'baseline',
    8: ignore,
    9: { values: [DIGEST] },
    11: 'stage0',
    12: 'zero',
    13: 'zero',
    14: 'release',
  },
  afterHandover: { pcrs: { 9: ignore } },
  reattest: { everySeconds: 3600, graceSeconds: 900 },
};

const read = (changes: object = {}) => parsePolicy(JSON.stringify({ ...VALID, ...changes }));
const withRules = (rules: object) => ({ pcrs: { ...VALID.pcrs, ...rules } });
const without = (name: keyof typeof VALID) => ({ [name]: undefined });

describe('a policy document', () => {
  test('that is right is read', () => {
    const { pcrs, pcrsAfterHandover, ...policy } = read();
    expect(policy).toEqual({
      name: 'edge',
      version: 3,
      channels: ['demo'],
      identity: 'certified',
      admission: ['listed', 'token'],
      state: ['measured'],
      eventLog: 'required',
      secureBoot: { state: 'required', db: [DIGEST] },
      baseline: 'first-boot',
      reattest: { everySeconds: 3600, graceSeconds: 900 },
    });
    expect(Object.keys(pcrs).map(Number)).toEqual(QUOTED_PCRS);
    expect(pcrs).toMatchObject({
      0: { kind: 'baseline' },
      1: { kind: 'ignore', reason: 'a reason' },
      4: { kind: 'stage0' },
      9: { kind: 'values', accepted: [DIGEST] },
      12: { kind: 'zero' },
      14: { kind: 'release' },
    });
    expect(pcrsAfterHandover).toEqual({ ...pcrs, 9: { kind: 'ignore', reason: 'a reason' } });
  });

  test('without its optional members is read, and has the same rules after the hand-over', () => {
    const policy = read({ ...without('afterHandover'), ...without('reattest') });
    expect(policy.pcrsAfterHandover).toEqual(policy.pcrs);
    expect(policy).not.toHaveProperty('reattest');
    expect(read({ secureBoot: { state: 'required', db: 'any' } }).secureBoot.db).toBe('any');
  });

  test.each<[string, object]>([
    ['format: expected "bootward-policy-v1"', { format: 'bootward-policy-v2' }],
    ['name: expected up to 32 lower-case letters, digits and inner hyphens', { name: 'Edge' }],
    ['name: expected up to 32 lower-case letters, digits and inner hyphens', { name: 7 }],
    ['version: expected a whole number from 1 to 9007199254740991', { version: 0 }],
    ['version: expected a whole number from 1 to 9007199254740991', { version: 1.5 }],
    ['version: expected a whole number from 1 to 9007199254740991', { version: '1' }],
    ['channels: expected a list of 1 to 64', { channels: [] }],
    ['channels: expected a list of 1 to 64', { channels: 'demo' }],
    ['channels: expected a list of 1 to 64', { channels: Array.from({ length: 65 }, (_, n) => `c${n}`) }],
    ['channels: expected each of them once', { channels: ['demo', 'demo'] }],
    ['channels.1: expected a channel name', { channels: ['demo', 'a b'] }],
    ['identity: expected "certified" or "uncertified"', { identity: 'any' }],
    ['admission.0: expected "listed" or "token" or "approved" or "open"', { admission: ['pending'] }],
    ['admission: expected a list of 1 to 64', { admission: [] }],
    ['state.0: expected "measured" or "self-reported" or "rom-asserted"', { state: ['any'] }],
    ['state: expected a list of 1 to 64', { state: [] }],
    ['eventLog: expected "required" or "optional"', { eventLog: true }],
    ['secureBoot: expected a mapping with something in it', { secureBoot: 'required' }],
    ['secureBoot.db: expected it to be there', { secureBoot: { state: 'required' } }],
    [
      'secureBoot.dbx: expected one of state, db',
      { secureBoot: { state: 'required', db: 'any', dbx: 'any' } },
    ],
    ['secureBoot.db: expected a list of 1 to 64', { secureBoot: { state: 'required', db: [] } }],
    [
      'secureBoot.db.0: expected 64 lower-case hex digits',
      { secureBoot: { state: 'required', db: [DIGEST.toUpperCase()] } },
    ],
    ['baseline: expected "first-boot" or "approved"', { baseline: 'none' }],
    ['pcrs: expected a mapping with something in it', { pcrs: {} }],
    ['pcrs: expected a mapping with something in it', { pcrs: [ignore] }],
    ['pcrs.6: expected a rule: every quoted PCR needs one', withRules({ 6: undefined })],
    [
      'pcrs.10: expected one of the quoted PCRs 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14',
      withRules({ 10: ignore }),
    ],
    [
      'pcrs.07: expected one of the quoted PCRs 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14',
      withRules({ '07': ignore }),
    ],
    ['pcrs.7: expected "baseline" or "zero"', withRules({ 7: 'stage0' })],
    ['pcrs.7: expected "baseline" or "zero"', withRules({ 7: 'ignore' })],
    ['pcrs.4: expected "baseline" or "zero" or "stage0"', withRules({ 4: 'release' })],
    ['pcrs.14: expected "release"', withRules({ 14: 'zero' })],
    ['pcrs.14: expected "release"', withRules({ 14: ignore })],
    ['pcrs.1: expected a mapping with something in it', withRules({ 1: {} })],
    ['pcrs.1: expected a mapping with something in it', withRules({ 1: null })],
    ['pcrs.1.ignore: expected the reason, in up to 200 characters', withRules({ 1: { ignore: '' } })],
    ['pcrs.1.ignore: expected the reason, in up to 200 characters', withRules({ 1: { ignore: true } })],
    ['pcrs.1.values: expected a list of 1 to 64', withRules({ 1: { values: [] } })],
    ['pcrs.1.values.0: expected 64 lower-case hex digits', withRules({ 1: { values: ['00'] } })],
    [
      'pcrs.1: expected a rule: baseline, zero, stage0 (PCR 4 and 11), { values: [...] } or { ignore: reason }',
      withRules({ 1: { anything: 'goes' } }),
    ],
    [
      'pcrs.1: expected a rule: baseline, zero, stage0 (PCR 4 and 11), { values: [...] } or { ignore: reason }',
      withRules({ 1: { ignore: 'a reason', values: [DIGEST] } }),
    ],
    ['afterHandover: expected a mapping with something in it', { afterHandover: {} }],
    ['afterHandover.pcrs: expected a mapping with something in it', { afterHandover: { pcrs: {} } }],
    ['afterHandover.pcrs.14: expected "release"', { afterHandover: { pcrs: { 14: ignore } } }],
    ['afterHandover.rules: expected one of pcrs', { afterHandover: { pcrs: { 9: ignore }, rules: 1 } }],
    ['reattest.graceSeconds: expected it to be there', { reattest: { everySeconds: 60 } }],
    [
      'reattest.everySeconds: expected a whole number from 60 to 31536000',
      { reattest: { everySeconds: 59, graceSeconds: 0 } },
    ],
    [
      'reattest.graceSeconds: expected a whole number from 0 to 31536000',
      { reattest: { everySeconds: 60, graceSeconds: -1 } },
    ],
    ['default: expected one of format, name, version', { default: 'accept' }],
  ])('is refused with the path of what is wrong: %s', (message, changes) => {
    expect(() => read(changes)).toThrow(PolicyError);
    expect(() => read(changes)).toThrow(message);
  });

  test.each(
    (['format', 'name', 'version', 'channels', 'identity', 'admission', 'state', 'eventLog'] as const).concat(
      ['secureBoot', 'pcrs'] as never,
    ),
  )('has no default for %s', (name) => {
    expect(() => read(without(name))).toThrow(`${name}: expected it to be there`);
  });

  test.each(QUOTED_PCRS)('has no default rule for PCR %d', (pcr) => {
    expect(() => read(withRules({ [pcr]: undefined }))).toThrow(`pcrs.${pcr}: expected a rule`);
  });

  test.each([
    ['nothing', ''],
    ['null', 'null'],
    ['an empty mapping', '{}'],
    ['a comment', '# a policy'],
    ['a list', '- demo'],
    ['a word', 'accept'],
  ])('is not %s', (_, text) => {
    expect(() => parsePolicy(text)).toThrow('the document: expected a mapping with something in it');
  });

  test.each([
    ['a key twice', 'name: a\nname: b'],
    ['an alias', 'name: &a edge\nformat: *a'],
    ['a tag', 'name: !!binary YQ=='],
    ['two documents', 'name: a\n---\nname: b'],
    ['nesting without end', '['.repeat(2000)],
    ['a number that is none', 'version: .inf\nname: .nan'],
    ['more than it may be long', `name: ${'a'.repeat(70_000)}`],
  ])('is not YAML with %s', (_, text) => {
    expect(() => parsePolicy(text)).toThrow(PolicyError);
  });
});

describe('what contradicts itself, or would accept any machine, is refused', () => {
  const noStage0 = withRules({ 4: ignore, 11: ignore }).pcrs;
  const selfReported = {
    state: ['self-reported'],
    eventLog: 'optional',
    secureBoot: { state: 'optional', db: 'any' },
    pcrs: noStage0,
  };

  test('its twin: a policy for machines without firmware log', () => {
    expect(read(selfReported).state).toEqual(['self-reported']);
  });

  test.each<[string, object]>([
    ['pcrs.11: expected PCR 4 and 11 both with rule stage0, or neither', withRules({ 11: ignore })],
    ['pcrs.4: expected PCR 4 and 11 both with rule stage0, or neither', withRules({ 4: ignore })],
    ['afterHandover.pcrs.11: expected PCR 4 and 11 both', { afterHandover: { pcrs: { 11: ignore } } }],
    [
      'state: expected no "measured" while PCR 4 and 11 may hold anything but a published stage-0 (pcrs)',
      { pcrs: noStage0 },
    ],
    [
      'state: expected no "measured" while PCR 4 and 11 may hold anything but a published stage-0 (afterHandover.pcrs)',
      { afterHandover: { pcrs: { 4: ignore, 11: ignore } } },
    ],
    [
      'pcrs: expected a rule other than ignore beside PCR 14: this would accept any machine',
      {
        ...selfReported,
        baseline: undefined,
        pcrs: Object.fromEntries(QUOTED_PCRS.map((pcr) => [pcr, pcr === 14 ? 'release' : ignore])),
      },
    ],
    [
      'eventLog: expected "required": without a log no node is measured, and nothing else is accepted',
      { eventLog: 'optional', secureBoot: { state: 'optional', db: 'any' } },
    ],
    [
      'eventLog: expected "required": Secure Boot is proven by the log of PCR 7',
      { eventLog: 'optional', state: ['measured', 'self-reported'] },
    ],
    [
      'secureBoot.state: expected "required" where db is a list',
      { secureBoot: { state: 'optional', db: [DIGEST] } },
    ],
    ['baseline: expected "first-boot" or "approved"', { baseline: undefined }],
    ['baseline: expected nothing: no PCR has that rule', withRules({ 0: 'zero', 2: ignore, 7: ignore })],
  ])('%s', (message, changes) => {
    expect(() => read(changes)).toThrow(message);
  });

  test('a baseline after the hand-over alone is a baseline', () => {
    const changes = {
      ...withRules({ 0: ignore, 2: ignore, 7: ignore }),
      afterHandover: { pcrs: { 7: 'baseline' } },
    };
    expect(read(changes).baseline).toBe('first-boot');
  });
});

describe('the built-in policy', () => {
  test('has a rule for every quoted PCR, and compares firmware, drivers and Secure Boot', () => {
    const { pcrs } = builtInPolicy({ eventLog: 'required', secureBoot: 'required' });
    expect(Object.keys(pcrs).map(Number)).toEqual(QUOTED_PCRS);
    const baseline = QUOTED_PCRS.filter((pcr) => pcrs[pcr]?.kind === 'baseline');
    expect(baseline).toEqual([0, 2, 7]);
  });

  test('accepts what is not measured only where no log is required', () => {
    expect(builtInPolicy({ eventLog: 'required', secureBoot: 'optional' }).state).toEqual(['measured']);
    expect(builtInPolicy({ eventLog: 'optional', secureBoot: 'required' })).toMatchObject({
      state: ['measured', 'self-reported', 'rom-asserted'],
      secureBoot: { state: 'required', db: 'any' },
    });
  });
});
