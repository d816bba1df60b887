import { describe, expect, it } from 'vitest';
import { unwrapNvCertificate } from '../../../src/attestation/quote/nv-certificate.ts';
import { concatBytes, toHex } from '../../../src/core/bytes.ts';

/** SEQUENCE with a two-byte length and this many bytes in it: all that is looked at here. */
const der = (contentBytes: number) =>
  concatBytes(
    Uint8Array.of(0x30, 0x82, contentBytes >> 8, contentBytes & 0xff),
    new Uint8Array(contentBytes).fill(0xcc),
  );
const DER = der(400);
/** TCG_PCCLIENT_STORED_CERT: tag 0x1001, type 0, size, tag 0x1002. */
const HEADER = Uint8Array.of(0x10, 0x01, 0x00, 0x01, 0x96, 0x10, 0x02);
const edited = (bytes: Uint8Array, at: number, value: number) =>
  Uint8Array.from(bytes).fill(value, at, at + 1);
const refusalOf = (stored: Uint8Array): string => {
  try {
    return `took ${unwrapNvCertificate(stored).length} bytes`;
  } catch (cause) {
    const { code, message } = cause as { code: string; message: string };
    return `${code}: ${message}`;
  }
};
const MALFORMED = 'ek-certificate-malformed: EK certificate: ';

describe('what an NV index holds', () => {
  it.each<[string, Uint8Array]>([
    ['the certificate', DER],
    ['a header of the TCG before it', concatBytes(HEADER, DER)],
    ['zeros behind it', concatBytes(DER, new Uint8Array(1))],
    ['many zeros behind it', concatBytes(DER, new Uint8Array(900))],
    ['0xff behind it', concatBytes(DER, new Uint8Array(9).fill(0xff))],
    ['both', concatBytes(HEADER, DER, new Uint8Array(9).fill(0xff))],
  ])('E11 is the certificate, with %s', (_name, stored) => {
    expect(toHex(unwrapNvCertificate(stored))).toBe(toHex(DER));
  });

  it('E11 is read up to 8192 bytes, and not one byte beyond', () => {
    expect(refusalOf(concatBytes(DER, new Uint8Array(8192 - DER.length)))).toBe('took 404 bytes');
    expect(refusalOf(concatBytes(DER, new Uint8Array(8193 - DER.length)))).toBe(
      `${MALFORMED}8193 bytes, at most 8192`,
    );
  });

  it.each<[string, Uint8Array]>([
    ['one other byte', Uint8Array.of(1)],
    ['zeros and one other byte', Uint8Array.of(0, 0, 1)],
    ['zeros and 0xff', Uint8Array.of(0, 0xff)],
    ['0xff and zeros', Uint8Array.of(0xff, 0)],
    ['another certificate', DER],
  ])('E12 may have nothing behind it but padding: %s', (_name, behind) => {
    expect(refusalOf(concatBytes(DER, behind))).toBe(`${MALFORMED}there are other bytes behind it`);
  });

  it.each([0, 1, 2, 5, 6])('E12 with byte %d of the header altered is no certificate', (at) => {
    expect(refusalOf(edited(concatBytes(HEADER, DER), at, 0x77))).toBe(
      `${MALFORMED}it is not a DER certificate`,
    );
  });

  it.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['another tag', edited(DER, 0, 0x31)],
    ['a length in one byte', edited(DER, 1, 0x81)],
    ['a length in three bytes', edited(DER, 1, 0x83)],
    ['an indefinite length', edited(DER, 1, 0x80)],
    ['no length', DER.subarray(0, 2)],
    ['half a length', DER.subarray(0, 3)],
  ])('E12 is not DER: %s', (_name, stored) => {
    expect(refusalOf(stored)).toBe(`${MALFORMED}it is not a DER certificate`);
  });

  it('E12 is whole, and long enough for its length to be minimal', () => {
    expect(refusalOf(DER.subarray(0, -1))).toBe(`${MALFORMED}it is cut off`);
    expect(refusalOf(DER.subarray(0, 4))).toBe(`${MALFORMED}it is cut off`);
    expect(refusalOf(der(256))).toBe('took 260 bytes');
    expect(refusalOf(der(255))).toBe(`${MALFORMED}it is cut off`);
  });
});
