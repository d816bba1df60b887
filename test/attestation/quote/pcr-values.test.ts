import { describe, expect, it } from 'vitest';
import { encodePcrValues, parsePcrIndex, parsePcrValues } from '../../../src/attestation/quote/pcr-values.ts';
import type { JsonValue } from '../../../src/core/strict-json.ts';

const ZERO = '00'.repeat(32);
const refusalOf = (read: () => unknown): string => {
  try {
    read();
    return 'read';
  } catch (cause) {
    const { code, message } = cause as { code: string; message: string };
    return `${code}: ${message}`;
  }
};
const parse = (document: JsonValue | undefined) => refusalOf(() => parsePcrValues(document));

describe('PCR values as JSON', () => {
  it('are read as they are written', () => {
    const document = { sha1: { 0: '11'.repeat(20) }, sha256: { 0: ZERO, 2: 'ff'.repeat(32), 23: ZERO } };
    expect(encodePcrValues(parsePcrValues(document))).toEqual(document);
  });

  it.each<[JsonValue | undefined, string]>([
    [undefined, 'pcrs: expected an object'],
    [[], 'pcrs: expected an object'],
    [{ sha256: [] }, 'sha256: expected an object'],
    [{ md5: {} }, 'bank "md5" is not known'],
    [{ ['x'.repeat(500)]: {} }, `bank "${'x'.repeat(20)}" is not known`],
    [{ sha256: { 24: ZERO } }, '"24" is not a PCR number'],
    [{ sha256: { ['1'.repeat(500)]: ZERO } }, `"${'1'.repeat(20)}" is not a PCR number`],
    [{ sha256: { 7: ZERO.slice(2) } }, 'PCR 7 is no hex value of sha256'],
    [{ sha256: { 7: Array.from({ length: 64 }, () => 0) } }, 'PCR 7 is no hex value of sha256'],
  ])('%# are refused in words of bounded length', (document, message) => {
    expect(parse(document)).toBe(`pcr-values-invalid: ${message}`);
  });

  it.each(['', '00', '01', '-1', '1.0', '1e1', '24', '100', ' 1', '1\n'])('have no PCR %j', (text) => {
    expect(refusalOf(() => parsePcrIndex(text))).toMatch(/^pcr-values-invalid: .* is not a PCR number$/);
  });

  it.each([0, 9, 10, 23])('have PCR %d', (pcr) => expect(parsePcrIndex(String(pcr))).toBe(pcr));
});
