import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { asProblem } from '../../src/boot-server/problem-answers.ts';
import { PROBLEMS, Problem, problemDocument, statusOf } from '../../src/boot-server/problems.ts';
import { CodedError } from '../../src/core/errors.ts';

describe('problems', () => {
  it('are one closed table of kebab-case codes and error statuses', () => {
    for (const [code, { status, title }] of Object.entries(PROBLEMS)) {
      expect(code).toMatch(/^[a-z]+(-[a-z]+)*$/);
      expect(status).toBeGreaterThanOrEqual(400);
      expect(status).toBeLessThan(600);
      expect(title).not.toBe('');
    }
  });

  it('hold every code that the protocol names, with the status it names', () => {
    const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');
    const named = [...page.matchAll(/\b(4[0-9]{2}) ((?:`[a-z-]+`(?:, | or )?)+)/g)];
    expect(named.length).toBeGreaterThan(3);
    for (const [, status, codes = ''] of named)
      for (const [, code = ''] of codes.matchAll(/`([a-z-]+)`/g))
        expect({ code, status: PROBLEMS[code as keyof typeof PROBLEMS]?.status }).toEqual({
          code,
          status: Number(status),
        });
  });

  it('become an RFC 9457 document in which further members replace nothing', () => {
    const members = { reasons: [{ code: 'x' }], code: 'forged', status: 200 };
    expect(problemDocument(new Problem('evidence-refused', 'PCR 11 differs', { members }))).toEqual({
      type: 'about:blank',
      title: 'The evidence was refused',
      status: 403,
      code: 'evidence-refused',
      detail: 'PCR 11 differs',
      reasons: [{ code: 'x' }],
    });
  });

  it('take over a coded error of any room whose code is in the table', () => {
    const problem = asProblem(new CodedError('storage-full', 'no room'));
    expect([problem.code, problem.message, statusOf(problem)]).toEqual(['storage-full', 'no room', 507]);
  });

  it.each([
    new CodedError('database-locked', 'the password is swordfish'),
    new CodedError('constructor', 'swordfish'),
    new TypeError('swordfish is not a function'),
    'swordfish',
    undefined,
  ])('answer any other failure as a bare internal error that keeps its cause for the log', (thrown) => {
    const problem = asProblem(thrown);
    expect(problem.code).toBe('internal');
    expect(JSON.stringify(problemDocument(problem))).not.toContain('swordfish');
    expect(problem.cause).toBe(thrown);
  });
});
