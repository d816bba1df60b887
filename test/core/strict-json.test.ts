import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseStrictJson } from '../../src/core/strict-json.ts';
import { CORPORA } from '../corpora.ts';

const SUITE = `${CORPORA}/nst/JSONTestSuite/test_parsing`;
const NAUGHTY = `${CORPORA}/minimaxir/big-list-of-naughty-strings/blns.json`;

const parse = (input: Uint8Array | string, maxDepth?: number) =>
  parseStrictJson(input, { maxBytes: 1_000_000, ...(maxDepth !== undefined && { maxDepth }) });

const refuses = (input: Uint8Array | string): void =>
  expect(() => parse(input)).toThrow(expect.objectContaining({ code: 'json-invalid' }));

/** Our objects have no prototype; for comparing with what JSON.parse returns. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe('S8 numbers', () => {
  it.each([
    ['0', 0],
    ['-1', -1],
    ['1e3', 1000],
    ['0.5', 0.5],
    ['9007199254740991', 2 ** 53 - 1],
  ])('reads %s', (text, value) => expect(parse(text)).toBe(value));

  it.each(['-0', '-0.0', '-0e1', '1e400', '01', '+1', '.5', '1.', '0x1', 'NaN', 'Infinity', '1_000', ''])(
    'S8 refuses %j',
    refuses,
  );

  it.each([
    '9007199254740992',
    '-9007199254740992',
    '9007199254740993',
    '1e16',
    '123456789012345678901234567890',
  ])('S11 refuses %s, past 2^53', refuses);
});

describe('keys', () => {
  it.each(['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '{"x":{"a":1,"b":2,"a":3}}', '[{"":0,"":0}]'])(
    'S9 refuses the duplicate in %s',
    refuses,
  );

  it.each(['{"__proto__":{}}', '{"constructor":1}', '{"a":{"prototype":[]}}', '{"\\u005f_proto__":{}}'])(
    'S10 refuses %s',
    refuses,
  );

  it('S10 returns objects that inherit nothing', () => {
    const value = parse('{"a":{}}') as Record<string, object>;
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.getPrototypeOf(value.a)).toBeNull();
    expect('toString' in value).toBe(false);
  });
});

describe('S12 text', () => {
  it.each([
    ['a byte-order mark', [0xef, 0xbb, 0xbf, 0x7b, 0x7d]],
    ['an overlong slash', [0x22, 0xc0, 0xaf, 0x22]],
    ['a surrogate in UTF-8', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a character past U+10FFFF', [0x22, 0xf4, 0x90, 0x80, 0x80, 0x22]],
    ['a sequence cut short', [0x22, 0xe2, 0x82, 0x22]],
    ['UTF-16', [0xff, 0xfe, 0x7b, 0x00, 0x7d, 0x00]],
  ])('S12 refuses %s', (_, bytes) => refuses(Uint8Array.from(bytes)));

  it.each(['"\\ud800"', '"\\udc00"', '"\\udc00\\ud800"', '"\ud800"', '{"\\ud83d":1}'])(
    'S12 refuses the lone surrogate in %j',
    refuses,
  );

  it('reads a surrogate pair', () => expect(parse('"\\ud83d\\ude00"')).toBe('\u{1f600}'));

  it.each(['"a\nb"', '"\u0000"', '"\\x41"', '"\\u12"', '"\\u12g4"', '"abc', "'a'"])('refuses %j', refuses);
});

describe('structure', () => {
  it.each([
    '{} {}',
    '[1,]',
    '{"a":1,}',
    '[1 2]',
    '{"a" 1}',
    '{a:1}',
    '// x\n1',
    '1 2',
    '\u00a01',
    'tru',
    '[',
    '{"a"',
  ])('refuses %j', refuses);

  it('reads as deep as it is told and no deeper', () => {
    expect(parse('[[[1]]]', 3)).toEqual([[[1]]]);
    expect(() => parse('[[[[1]]]]', 3)).toThrow(expect.objectContaining({ code: 'json-invalid' }));
    refuses('['.repeat(100_000));
  });

  it('counts bytes, not characters, before it reads', () => {
    const text = JSON.stringify('\u20ac\u20ac');
    expect(parseStrictJson(text, { maxBytes: 8 })).toBe('\u20ac\u20ac');
    expect(() => parseStrictJson(text, { maxBytes: 7 })).toThrow(/8 bytes/);
  });

  it('refuses every document cut short', () => {
    const text = '{"a":[1,true,null,"\\u0041"],"b":{}}';
    for (let length = 0; length < text.length; length += 1) refuses(text.slice(0, length));
  });
});

describe('properties', () => {
  it('reads what JSON.stringify writes', () => {
    const value = fc.jsonValue({ noUnicodeString: false });
    fc.assert(
      fc.property(value, (written) => {
        const text = JSON.stringify(written);
        if (/[_c]_proto__|constructor|prototype/.test(text)) return;
        if (hasLooseNumber(written) || !text.isWellFormed() || /\\ud[89a-f]/i.test(text)) return;
        expect(plain(parse(text))).toEqual(JSON.parse(text));
      }),
    );
  });

  it('returns or refuses, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        try {
          parse(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'json-invalid' });
        }
      }),
    );
  });
});

describe.skipIf(!existsSync(SUITE))('JSONTestSuite', () => {
  const files = existsSync(SUITE) ? readdirSync(SUITE).filter((name) => name.endsWith('.json')) : [];
  const bytesOf = (name: string) => readFileSync(join(SUITE, name));

  /** Valid JSON that we refuse on purpose, and the case that each stands for. */
  const REFUSED_ON_PURPOSE = new Map([
    ['y_number_minus_zero.json', 'S8'],
    ['y_number_negative_zero.json', 'S8'],
    ['y_object_duplicated_key.json', 'S9'],
    ['y_object_duplicated_key_and_value.json', 'S9'],
    ['y_number.json', 'S11'],
    ['y_number_real_capital_e.json', 'S11'],
    ['y_number_real_exponent.json', 'S11'],
    ['y_number_real_fraction_exponent.json', 'S11'],
    ['y_object_extreme_numbers.json', 'S11'],
  ]);

  it('S12 refuses every n_ file', () => {
    const names = files.filter((name) => name.startsWith('n_'));
    expect(names.length).toBeGreaterThan(180);
    for (const name of names) expect(() => parse(bytesOf(name)), name).toThrow();
  });

  it('S8 reads every y_ file as JSON.parse does, but for the loose ends', () => {
    const names = files.filter((name) => name.startsWith('y_'));
    expect(names.length).toBeGreaterThan(90);
    for (const name of names)
      if (REFUSED_ON_PURPOSE.has(name)) expect(() => parse(bytesOf(name)), name).toThrow();
      else expect(plain(parse(bytesOf(name))), name).toEqual(JSON.parse(bytesOf(name).toString()));
  });

  it('S12 refuses every i_ file but two fractions too small for a double', () => {
    const names = files.filter((name) => name.startsWith('i_'));
    const read = names.filter((name) => isRead(bytesOf(name)));
    // Signed documents allow integers only: signed-json.ts.
    expect(read.sort()).toEqual(['i_number_double_huge_neg_exp.json', 'i_number_real_underflow.json']);
  });
});

describe.skipIf(!existsSync(NAUGHTY))('big list of naughty strings', () => {
  it('S8 reads each of them back as it was', () => {
    const strings = JSON.parse(readFileSync(NAUGHTY, 'utf8')) as string[];
    expect(strings.length).toBeGreaterThan(400);
    for (const text of strings) expect(parse(JSON.stringify(text))).toBe(text);
  });
});

function isRead(bytes: Uint8Array): boolean {
  try {
    parse(bytes);
    return true;
  } catch {
    return false;
  }
}

function hasLooseNumber(value: unknown): boolean {
  if (typeof value === 'number') return Object.is(value, -0) || Math.abs(value) > Number.MAX_SAFE_INTEGER;
  if (typeof value !== 'object' || value === null) return false;
  return Object.values(value).some(hasLooseNumber);
}
