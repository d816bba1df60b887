import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { shortHex, toPrintable } from '../../src/core/printable.ts';

describe('text from outside', () => {
  it('A10 is printable ASCII afterwards, whatever it was, and saying it twice changes nothing', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const shown = toPrintable(text);
        expect(shown).toMatch(/^[\x20-\x7e]*$/);
        expect(toPrintable(shown)).toBe(shown);
      }),
    );
    expect(toPrintable('\x1b[31m\n\u009b\u202e\u{1f600}')).toBe(
      '\\u{1b}[31m\\u{a}\\u{9b}\\u{202e}\\u{1f600}',
    );
  });

  it('is cut where it is too long', () => {
    expect(toPrintable('abcdef', 3)).toBe('abc...');
    expect(toPrintable('abc', 3)).toBe('abc');
  });
});

describe('a digest in a sentence', () => {
  it('is its beginning', () => {
    expect(shortHex(new Uint8Array(32).fill(0xab))).toBe('abababababab...');
    expect(shortHex(new Uint8Array(6))).toBe('000000000000');
  });
});
