import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseStrictYaml, StrictYamlError } from '../../src/core/strict-yaml.ts';

const read = (text: string) => parseStrictYaml(text, { maxBytes: 64 * 1024 });

describe('strict YAML', () => {
  test('reads block and flow style, comments, and every kind of scalar that JSON has', () => {
    const text = [
      '# a comment',
      'word: edge   # another',
      "quoted: 'it''s'",
      'double: "*no alias, &no anchor, !no tag"',
      'number: 12',
      'yes: true',
      'nothing: null',
      'list: [a, {b: c}]',
      'block:',
      '  - one',
      '  - - two',
      'text: |',
      '  %no directive',
      '  *no alias',
      '',
    ].join('\n');
    expect(read(text)).toEqual({
      word: 'edge',
      quoted: "it's",
      double: '*no alias, &no anchor, !no tag',
      number: 12,
      yes: true,
      nothing: null,
      list: ['a', { b: 'c' }],
      block: ['one', ['two']],
      text: '%no directive\n*no alias\n',
    });
  });

  test('reads what JSON says as JSON says it', () => {
    fc.assert(
      fc.property(fc.jsonValue({ depthSize: 'small', maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value);
        fc.pre(!text.includes('__proto__') && !/[0-9]e[+-]?[0-9]|-0\b|[0-9]{16}/.test(text));
        expect(read(text)).toEqual(JSON.parse(text));
      }),
    );
  });

  test.each(['', '\n', '# nothing', '---'])('an empty document is null: %j', (text) => {
    expect(read(text)).toBeNull();
  });

  test('keys are what is written', () => {
    expect(read('0: a\n07: b\n1e0: c\nnull: d')).toEqual({ 0: 'a', '07': 'b', '1e0': 'c', null: 'd' });
  });

  test('words of YAML 1.1 are words', () => {
    expect(read('[yes, no, on, off, 0x10, 1_000]')).toEqual(['yes', 'no', 'on', 'off', 16, '1_000']);
  });

  test.each<[string, string, RegExp]>([
    ['an anchor', 'a: 1\nb: &x 2', /^line 2: no anchor is read$/],
    ['an alias', 'b: *900', /^line 1: no alias is read$/],
    ['a tag', 'b: !!str 5', /^line 1: no tag is read$/],
    ['a tag of its own', '\n\nb: !mine {}', /^line 3: no tag is read$/],
    ['a directive', '%YAML 1.1\n---\na: yes', /^line 1: no directive-line is read$/],
    ['a key twice', 'a: 1\na: 2', /^Map keys must be unique at line 2, column 1$/],
    ['a key twice in flow style', '{"a": 1, "a": 2}', /^Map keys must be unique at line 1/],
    ['two documents', 'a: 1\n---\nb: 2', /multiple documents/],
    ['a list as key', '{[demo]: 1}', /^With stringKeys, all keys must be strings at line 1/],
    ['what ends nowhere', '{a: [1', /at line 1/],
    ['infinity', 'a: .inf', /^a number that is not finite$/],
    ['what is no number', 'a: [.nan]', /^a number that is not finite$/],
    ['an integer beyond 2^53', 'a: 9007199254740993', /./],
    ['a prototype', '__proto__: {a: 1}', /./],
    ['deep flow style', '['.repeat(17) + ']'.repeat(17), /^line 1: nested deeper than 16$/],
    ['deep mappings', '{a: '.repeat(17) + '}'.repeat(17), /^line 1: nested deeper than 16$/],
    ['deep lists', `a:\n  ${'- '.repeat(17)}`, /^line 2: nested deeper than 16$/],
    ['deep keys', '? '.repeat(17), /^line 1: nested deeper than 16$/],
    [
      'deep indentation',
      Array.from({ length: 40 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n'),
      /deep/,
    ],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(StrictYamlError);
    expect(() => read(text)).toThrow(message);
  });

  test('refuses what is too long, in bytes', () => {
    expect(read(`a: ${'b'.repeat(7)}`)).toEqual({ a: 'bbbbbbb' });
    expect(() => parseStrictYaml('a: \u00e4\u00e4\u00e4\u00e4', { maxBytes: 10 })).toThrow(
      'the document has 11 bytes, at most 10 are read',
    );
  });

  test('says what is wrong in one printable line', () => {
    for (const text of ['"\u001b[31m', 'a: b: c\n\u001b', '\u0000', '- a\nb: \u2028'])
      try {
        read(text);
      } catch (cause) {
        expect((cause as Error).message).toMatch(/^[\x20-\x7e]+$/);
      }
    expect.hasAssertions();
  });
});
