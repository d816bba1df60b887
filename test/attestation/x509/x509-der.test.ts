import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readExtensions } from '../../../src/attestation/x509/x509.ts';
import {
  childrenOf,
  readBits,
  readBoolean,
  readDer,
  readInteger,
  readOid,
  readSmallInteger,
  readTime,
  sequenceOf,
  TAG,
} from '../../../src/attestation/x509/x509-der.ts';
import { readGeneralNames, readName } from '../../../src/attestation/x509/x509-names.ts';
import { asciiBytes, concatBytes, fromHex } from '../../../src/core/bytes.ts';

const INVALID = expect.objectContaining({ code: 'der-invalid' });
const only = (hex: string, tag: number) => readDer(fromHex(hex), tag);
const time = (tag: number, text: string) =>
  readTime({ tag, content: asciiBytes(text), whole: asciiBytes('') });

describe('DER (X.690, clause 10)', () => {
  it('has definite lengths, each in one form', () => {
    expect(childrenOf(only('3003020105', TAG.sequence)).map(({ tag }) => tag)).toEqual([TAG.integer]);
    const long = concatBytes(fromHex('048180'), new Uint8Array(128));
    expect(readDer(long, TAG.octetString).content.length).toBe(128);
    expect(
      readDer(concatBytes(fromHex('04820100'), new Uint8Array(256)), TAG.octetString).content.length,
    ).toBe(256);
  });

  it.each([
    ['nothing', ''],
    ['a tag only', '30'],
    ['bytes behind', '300000'],
    ['an indefinite length', '30800000'],
    ['a long form for a short length', '0481050102030405'],
    ['a padded long form', `048200ff${'00'.repeat(255)}`],
    ['a length of five bytes', '04850000000001'],
    ['more than there is', '0403aabb'],
    ['4 GiB in six bytes', '0484ffffffff'],
    ['a high tag number', '1f0100'],
    ['a length cut off', '0482'],
  ])('is not %s', (_name, hex) => {
    expect(() => only(hex, TAG.octetString)).toThrow(INVALID);
  });

  it('is read without an error but ours, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
        for (const read of [sequenceOf, readBits, readGeneralNames])
          try {
            read(bytes);
          } catch (cause) {
            expect(cause).toEqual(INVALID);
          }
      }),
    );
  });

  it('has one form for each boolean', () => {
    expect([readBoolean(only('0101ff', TAG.boolean)), readBoolean(only('010100', TAG.boolean))]).toEqual([
      true,
      false,
    ]);
    for (const hex of ['010101', '0100', '0102ffff'])
      expect(() => readBoolean(only(hex, TAG.boolean))).toThrow(INVALID);
  });

  it('has one form for each integer', () => {
    expect(readInteger(only('02020080', TAG.integer))).toBe('0080');
    expect(readInteger(only('0202ff7f', TAG.integer))).toBe('ff7f');
    expect(readSmallInteger(only('02020100', TAG.integer))).toBe(256);
    for (const hex of ['0200', '0202007f', '0202ff80'])
      expect(() => readInteger(only(hex, TAG.integer))).toThrow(INVALID);
    for (const hex of ['0201ff', '02050100000000'])
      expect(() => readSmallInteger(only(hex, TAG.integer))).toThrow(INVALID);
    expect(() => readInteger(undefined)).toThrow(INVALID);
  });

  it('has one form for each object identifier', () => {
    expect(readOid(only('06056781050801', TAG.oid))).toBe('2.23.133.8.1');
    expect(readOid(only('06032a8648', TAG.oid))).toBe('1.2.840');
    expect(readOid(only('06028837', TAG.oid))).toBe('2.999');
    for (const hex of ['0600', '060186', '06022a80', '06032a8001', `060a${'ff'.repeat(9)}7f`])
      expect(() => readOid(only(hex, TAG.oid))).toThrow(INVALID);
  });

  it('numbers the bits of a bit string from the left', () => {
    expect([...readBits(fromHex('03020106'))]).toEqual([5, 6]);
    expect([...readBits(fromHex('0303078080'))]).toEqual([0, 8]);
    expect(readBits(fromHex('030100')).size).toBe(0);
    for (const hex of ['0300', '030208ff', '030101']) expect(() => readBits(fromHex(hex))).toThrow(INVALID);
  });

  it('has times to the second in UTC (RFC 5280, section 4.1.2.5)', () => {
    expect(time(TAG.utcTime, '491231235959Z')).toBe(Date.UTC(2049, 11, 31, 23, 59, 59));
    expect(time(TAG.utcTime, '500101000000Z')).toBe(Date.UTC(1950, 0, 1));
    expect(time(TAG.generalizedTime, '99991231235959Z')).toBe(Date.UTC(9999, 11, 31, 23, 59, 59));
    for (const text of [
      '',
      '4912312359Z',
      '491231235959+0000',
      '490230000000Z',
      '491231235960Z',
      '491331000000Z',
    ])
      expect(() => time(TAG.utcTime, text)).toThrow(INVALID);
    for (const text of ['20491231235959', '20491231235959.5Z', '491231235959Z'])
      expect(() => time(TAG.generalizedTime, text)).toThrow(INVALID);
    expect(() => time(TAG.integer, '491231235959Z')).toThrow(INVALID);
  });
});

describe('names and extensions', () => {
  const element = (tag: string, ...parts: string[]): string =>
    tag + (parts.join('').length / 2).toString(16).padStart(2, '0') + parts.join('');
  const commonName = (tag: string, hex: string) =>
    only(element('30', element('31', element('30', '0603550403', element(tag, hex)))), TAG.sequence);

  it('are text in every string type, and equal without regard to letters and spaces', () => {
    const spelled = [
      ['0c', Buffer.from(' EK  ca ').toString('hex')],
      ['13', Buffer.from('ek CA').toString('hex')],
      ['14', Buffer.from('EK CA').toString('hex')],
      ['16', Buffer.from('Ek Ca').toString('hex')],
      ['1e', '0045004b002000430041'],
    ] as const;
    const canonical = spelled.map(([tag, hex]) => readName(commonName(tag, hex)).canonical.join());
    expect(new Set(canonical).size).toBe(1);
    expect(readName(commonName('1e', '00450041')).attributes).toEqual([{ oid: '2.5.4.3', value: 'EA' }]);
    expect(readName(commonName('04', 'ff')).attributes).toEqual([{ oid: '2.5.4.3', value: '#0401ff' }]);
    // Not UTF-8: both would decode to the same replacement character, and are two names.
    expect(readName(commonName('0c', 'ff')).attributes).toEqual([{ oid: '2.5.4.3', value: '#0c01ff' }]);
    expect(readName(commonName('0c', 'fe')).canonical).not.toEqual(
      readName(commonName('0c', 'ff')).canonical,
    );
    expect(() => readName(commonName('1e', '004500'))).toThrow(INVALID);
  });

  it.each([
    ['an empty set', '30023100'],
    ['an attribute without a value', '3009310730050603550403'],
  ])('are not read with %s', (_name, hex) => {
    expect(() => readName(only(hex, TAG.sequence))).toThrow(INVALID);
  });

  it('are a list, and an empty list of names is none', () => {
    expect(() => readGeneralNames(fromHex('3000'))).toThrow(INVALID);
    const explicit = (hex: string) => readExtensions(only(hex, 0xa3));
    expect(explicit('a30a3008300606022a030400')).toMatchObject([{ oid: '1.2.3', critical: false }]);
    expect(() => explicit('a310300e300c06022a030101ff0401000500')).toThrow(INVALID);
    expect(readExtensions(undefined)).toEqual([]);
  });
});
