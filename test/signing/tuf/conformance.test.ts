import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { DIFFERENT, NOT_APPLICABLE, SUITE } from './conformance-suite.ts';

const CASES: readonly string[] = Object.values(SUITE).flat();

/** By file of the suite: where `conformance` is called for it. */
function rebuilt(): readonly string[] {
  const files = readdirSync(import.meta.dirname).filter((name) => /^conformance-.*\.test\.ts$/.test(name));
  const text = files.map((name) => readFileSync(`${import.meta.dirname}/${name}`, 'utf8')).join('\n');
  return [...text.matchAll(/\bconformance\(\s*'(\w+)'/g)].map(([, file]) => file ?? '');
}

describe('the cases of tuf-conformance', () => {
  it('are 113, no two of one name', () => {
    expect(CASES).toHaveLength(113);
    expect(new Set(CASES).size).toBe(CASES.length);
  });

  it('are each a test of ours or in the table of those that do not apply', () => {
    const files = Object.entries(SUITE).filter(([, names]) =>
      names.some((name) => !NOT_APPLICABLE.has(name)),
    );
    expect([...rebuilt()].sort()).toEqual(files.map(([file]) => file).sort());
  });

  it.each([...NOT_APPLICABLE.keys(), ...DIFFERENT.keys()])('%s, of the tables, is one of them', (name) => {
    expect(CASES).toContain(name);
  });

  it('are rebuilt or not, never both', () => {
    expect([...DIFFERENT.keys()].filter((name) => NOT_APPLICABLE.has(name))).toEqual([]);
  });
});
