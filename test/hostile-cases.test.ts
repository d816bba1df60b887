import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

// test/hostile-cases.json is the list of what someone will try; tests carry the numbers in their names.
interface HostileCase {
  id: string;
  case: string;
  /** `later`: concerns what does not exist yet. */
  state: 'tested' | 'later';
  /** What of the case its tests do not reach yet, or why it comes later. */
  note?: string;
}

const CASES: readonly HostileCase[] = JSON.parse(readFileSync('test/hostile-cases.json', 'utf8'));
const SIZES = { E: 31, Q: 60, L: 36, P: 14, D: 24, S: 20, R: 11, A: 14, O: 14 };
/** What a machine that boots for real cannot be without. */
const INDISPENSABLE = 'P1 P4 P5 P6 P10 P11 P12 P14 D1 D2 D3 D4 D5 D6 D7 D9 D14 D18 D19 D22 D23 D24'.split(
  ' ',
);

const ID = /\b[EQLPDSRAO]\d{1,2}b?\b/g;
/** A title of test, it or describe, or the row of a table that gives it: any string that starts with a number. */
const NAME = /(['"`])(?<name>[EQLPDSRAO]\d{1,2}b?\b(?:\\.|(?!\1)[^\\\n])*)\1/g;

const names = globSync('test/**/*.test.ts')
  .filter((file) => file !== 'test/hostile-cases.test.ts')
  .flatMap((file) => [...readFileSync(file, 'utf8').matchAll(NAME)])
  .map((match) => match.groups?.name ?? '');
const idsInNames = new Set(names.flatMap((name) => name.match(ID) ?? []));
const idsOf = (state: HostileCase['state']) =>
  CASES.filter((entry) => entry.state === state).map(({ id }) => id);

describe('the list of hostile cases', () => {
  it('holds each of the 224 once, numbered without a gap', () => {
    const expected = Object.entries(SIZES).flatMap(([area, size]) => numbersOf(area, size));
    expect(CASES.map(({ id }) => id).sort()).toEqual(expected.sort());
    expect(CASES).toHaveLength(224);
  });

  it('says of each what someone tries, and nothing that is not known here', () => {
    const known = ['id', 'case', 'state', 'note'];
    for (const entry of CASES) {
      expect(Object.keys(entry).filter((key) => !known.includes(key))).toEqual([]);
      expect(entry.case).toMatch(/\S/);
      expect(['tested', 'later']).toContain(entry.state);
    }
  });

  it('knows every number that a test carries', () => {
    const listed = CASES.map(({ id }) => id);
    expect([...idsInNames].filter((id) => !listed.includes(id))).toEqual([]);
  });

  it('has a test for each case that it calls tested', () => {
    expect(idsOf('tested').filter((id) => !idsInNames.has(id))).toEqual([]);
  });

  it('calls tested what a test carries the number of', () => {
    expect(idsOf('later').filter((id) => idsInNames.has(id))).toEqual([]);
  });

  it('has the cases tested that a booting machine cannot be without', () => {
    expect(INDISPENSABLE.filter((id) => !idsOf('tested').includes(id))).toEqual([]);
  });
});

/** E has an E11b beside its thirty. */
function numbersOf(area: string, size: number): string[] {
  const ids = Array.from({ length: size }, (_, index) => `${area}${index + 1}`);
  return area === 'E' ? [...ids.slice(0, -1), 'E11b'] : ids;
}
