import { expect, test } from 'vitest';
import { fromBase64, fromBase64Url, fromHex, toBase64, toBase64Url } from '../../src/core/bytes.ts';

test.each(['', 'QQ==', 'QUI=', 'QUJD', '+/+/'])('base64 %j is read and written alike', (text) => {
  expect(toBase64(fromBase64(text))).toBe(text);
});

test.each([
  ['no padding', 'QQ'],
  ['pad bits that are not zero', 'QR=='],
  ['the other alphabet', '-_-_'],
  ['a space', 'QU JD'],
  ['a newline at the end', 'QUJD\n'],
  ['text after the padding', 'QQ==QUJD'],
])('base64 with %s is refused', (_, text) => {
  expect(() => fromBase64(text)).toThrow(expect.objectContaining({ code: 'encoding-invalid' }));
});

test.each([
  ['padding', 'QQ=='],
  ['pad bits that are not zero', 'QR'],
  ['the other alphabet', '+/+/'],
  ['a newline', 'QUJD\n'],
])('base64url with %s is refused', (_, text) => {
  expect(() => fromBase64Url(text)).toThrow(expect.objectContaining({ code: 'encoding-invalid' }));
  expect(toBase64Url(fromBase64Url('-_-_'))).toBe('-_-_');
});

test('ten megabytes of base64 are read like ten bytes', () => {
  const text = 'QUJD'.repeat(2_500_000);
  expect(fromBase64(text)).toHaveLength(7_500_000);
  expect(() => fromBase64(`${text}*`)).toThrow(expect.objectContaining({ code: 'encoding-invalid' }));
});

test.each(['0', '0G', 'AA', ' 00', '00\n'])('hex %j is refused', (text) => {
  expect(() => fromHex(text)).toThrow(expect.objectContaining({ code: 'encoding-invalid' }));
});
