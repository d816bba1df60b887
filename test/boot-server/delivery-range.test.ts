import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ArtifactRequest, selectPart } from '../../src/boot-server/delivery/requested-part.ts';

const ETAG = '"abc"';
const LENGTH = 1000;

function ask(headers: Partial<ArtifactRequest>, length = LENGTH) {
  const nothing = {
    method: 'GET',
    ifMatch: undefined,
    ifNoneMatch: undefined,
    ifRange: undefined,
    range: undefined,
  };
  return selectPart({ ...nothing, ...headers }, { etag: ETAG, length });
}

const whole = { kind: 'whole' };
const unsatisfiable = { kind: 'unsatisfiable' };

describe('D4 ranges', () => {
  it.each([
    ['bytes=0-0', { kind: 'part', first: 0, last: 0 }],
    ['bytes=10-19', { kind: 'part', first: 10, last: 19 }],
    ['bytes=990-', { kind: 'part', first: 990, last: 999 }],
    ['bytes=-10', { kind: 'part', first: 990, last: 999 }],
    ['bytes=-5000', { kind: 'part', first: 0, last: 999 }],
    ['bytes=0-99999', { kind: 'part', first: 0, last: 999 }],
    ['BYTES=1-2', { kind: 'part', first: 1, last: 2 }],
    ['bytes=1000-', unsatisfiable],
    ['bytes=1000-2000', unsatisfiable],
    ['bytes=-0', unsatisfiable],
    ['bytes=5-4', whole],
    ['bytes=-5-4', whole],
    ['bytes=--5', whole],
    ['bytes=+1-2', whole],
    ['bytes=0x1-2', whole],
    ['bytes=1.5-2', whole],
    ['bytes=', whole],
    ['bytes=-', whole],
    ['bytes 1-2', whole],
    ['lines=1-2', whole],
    ['', whole],
    ['bytes=0-1,5-6', whole],
    ['bytes=0-,0-,0-', whole],
    ['bytes=99999999999999999999-', whole],
  ])('D4 %j of 1000 bytes', (range, expected) => {
    expect(ask({ range })).toEqual(expected);
  });

  it('D4 a thousand ranges are answered with the whole artifact, once', () => {
    expect(ask({ range: `bytes=${Array.from({ length: 1000 }, (_, n) => `${n}-`).join(',')}` })).toEqual(
      whole,
    );
  });

  it('D4 an artifact of no bytes satisfies no range', () => {
    expect(ask({ range: 'bytes=0-' }, 0)).toEqual(unsatisfiable);
    expect(ask({ range: 'bytes=-1' }, 0)).toEqual(unsatisfiable);
  });

  it('D4 never selects a byte outside the artifact, whatever the header', () => {
    const header = fc.stringMatching(/^bytes=[0-9]{0,16}-?[0-9]{0,16}$/);
    fc.assert(
      fc.property(header, fc.nat(2000), (range, length) => {
        const part = ask({ range }, length);
        if (part.kind !== 'part') return;
        expect(part.first).toBeGreaterThanOrEqual(0);
        expect(part.last).toBeGreaterThanOrEqual(part.first);
        expect(part.last).toBeLessThan(length);
      }),
    );
  });

  it('ignores a range on HEAD, which has none to send', () => {
    expect(ask({ method: 'HEAD', range: 'bytes=0-1' })).toEqual(whole);
  });
});

describe('conditions', () => {
  const range = 'bytes=1-2';
  const part = { kind: 'part', first: 1, last: 2 };

  it.each([
    [ETAG, part],
    ['"other"', whole],
    [`W/${ETAG}`, whole],
    ['Wed, 21 Oct 2015 07:28:00 GMT', whole],
  ])('If-Range %j', (ifRange, expected) => {
    expect(ask({ ifRange, range })).toEqual(expected);
  });

  it.each([
    [ETAG, whole],
    ['*', whole],
    [`"x", ${ETAG}`, whole],
    ['"other"', { kind: 'precondition-failed' }],
    [`W/${ETAG}`, { kind: 'precondition-failed' }],
    ['abc', { kind: 'precondition-failed' }],
  ])('If-Match %j', (ifMatch, expected) => {
    expect(ask({ ifMatch })).toEqual(expected);
  });

  it.each([
    [ETAG, { kind: 'not-modified' }],
    [`W/${ETAG}`, { kind: 'not-modified' }],
    ['*', { kind: 'not-modified' }],
    ['"other"', whole],
  ])('D22 If-None-Match %j', (ifNoneMatch, expected) => {
    expect(ask({ ifNoneMatch })).toEqual(expected);
  });

  it('a resumed download of another release fails instead of mixing the two', () => {
    expect(ask({ ifMatch: '"other"', range })).toEqual({ kind: 'precondition-failed' });
  });
});
