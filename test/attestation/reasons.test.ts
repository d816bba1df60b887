import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { concludeFrom, REASONS, Refusal } from '../../src/attestation/reasons.ts';

const PAGE = 'docs/reasons.md';
const VERDICTS = { refuse: 'refuse', hold: 'hold', note: 'accept, with a note' } as const;

function renderPage(): string {
  const rows = Object.entries(REASONS).map(
    ([code, { kind, meaning, remedy }]) => `| \`${code}\` | ${VERDICTS[kind]} | ${meaning} | ${remedy} |`,
  );
  return [
    '# Reason codes',
    '',
    'Why evidence was refused or held, and what was noted beside a verdict. This page is the table in',
    '`src/attestation/reasons.ts`, and a test keeps them equal (`UPDATE_DOCS=1` writes it). A code, once',
    'released, is never renamed and never changes its verdict. Reason codes are not problem codes: a problem',
    'says why a request failed, a reason why evidence did. `boot-admin verdicts show VERDICT` prints these words',
    'beside what was expected and what came.',
    '',
    '| code | verdict | meaning | what to do |',
    '| ---- | ------- | ------- | ---------- |',
    ...rows,
    '',
  ].join('\n');
}

describe('reason codes', () => {
  it('are documented, all of them and no others', () => {
    if (process.env.UPDATE_DOCS === '1') writeFileSync(PAGE, renderPage());
    expect(existsSync(PAGE) && readFileSync(PAGE, 'utf8')).toBe(renderPage());
  });

  it('are kebab-case, each says what it means and what to do in a sentence', () => {
    for (const [code, { meaning, remedy }] of Object.entries(REASONS)) {
      expect(code).toMatch(/^[a-z0-9]+(?:-[a-z0-9]+)*$/);
      expect(meaning).toMatch(/^[A-Z][^|\n]*\.$/);
      expect(remedy).toMatch(/^[A-Z][^|\n]*\.$/);
      expect(remedy.length).toBeLessThan(170);
    }
  });

  it('refuse before they hold, hold before they accept, and notes change nothing', () => {
    const note = { code: 'clock-not-safe', message: '' } as const;
    const hold = { code: 'clock-went-back', message: '' } as const;
    const refusal = { code: 'signature-invalid', message: '' } as const;
    expect(concludeFrom([note])).toEqual({ verdict: 'accept', reasons: [], notes: [note] });
    expect(concludeFrom([note, hold])).toMatchObject({ verdict: 'hold', reasons: [hold] });
    expect(concludeFrom([hold, refusal])).toMatchObject({ verdict: 'refuse', reasons: [hold, refusal] });
    expect(new Refusal('signature-invalid', 'why').finding).toEqual({
      code: 'signature-invalid',
      message: 'why',
    });
  });
});
