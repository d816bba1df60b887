import { createPublicKey } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { EMPTY, fromHex, sha256, toHex } from '../../src/core/bytes.ts';
import { AK_ATTRIBUTES, createSoftwareAk, SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById } from '../../src/tpm/algorithms.ts';
import { computeName } from '../../src/tpm/name.ts';
import { encodePcrSelections } from '../../src/tpm/pcr-selection.ts';
import { encodeTpmtPublic, parseTpm2bPublic, parseTpmtPublic } from '../../src/tpm/public-area.ts';
import { padInteger, toKeyObject, toSpki } from '../../src/tpm/public-key.ts';
import { sized, u16, u32, u64 } from '../../src/tpm/writer.ts';

const ak = createSoftwareAk();
const area = parseTpmtPublic(ak.publicBytes);

const edited = (offset: number, ...values: number[]) => {
  const bytes = Uint8Array.from(ak.publicBytes);
  bytes.set(values, offset);
  return bytes;
};
const codeOf = (bytes: Uint8Array): string => {
  try {
    parseTpmtPublic(bytes);
    return 'accepted';
  } catch (cause) {
    return (cause as { code: string }).code;
  }
};

describe('TPMT_PUBLIC', () => {
  it('gives the key that the TPM holds', () => {
    const expected = createPublicKey(ak.privateKey).export({ type: 'spki', format: 'der' });
    expect(toHex(toSpki(area))).toBe(expected.toString('hex'));
  });

  it('E17 has the Name of exactly the bytes that were read', () => {
    expect(toHex(computeName(area))).toBe(`000b${toHex(sha256(ak.publicBytes))}`);
  });

  it('E17 refuses trailing bytes inside and outside a TPM2B', () => {
    expect(parseTpm2bPublic(sized(ak.publicBytes)).type).toBe('ecc');
    expect(() => parseTpm2bPublic(sized(Uint8Array.of(...ak.publicBytes, 0)))).toThrow(
      expect.objectContaining({ code: 'trailing-bytes' }),
    );
    expect(() => parseTpm2bPublic(Uint8Array.of(...sized(ak.publicBytes), 0))).toThrow(
      expect.objectContaining({ code: 'trailing-bytes' }),
    );
  });

  it('costs nothing when a size of 64 KiB stands in a short buffer', () => {
    expect(() => parseTpm2bPublic(Uint8Array.of(0xff, 0xff, 0, 0x23))).toThrow(
      expect.objectContaining({ code: 'too-long' }),
    );
  });

  it.each([
    ['a key type other than RSA and ECC', edited(0, 0x00, 0x08), 'unsupported'],
    ['an unknown name algorithm', edited(2, 0x77, 0x77), 'unsupported'],
    ['a reserved attribute bit', edited(7, 0x73), 'invalid-value'],
    ['a symmetric algorithm that is not AES', edited(10, 0x00, 0x13), 'unsupported'],
    ['an unknown scheme', edited(12, 0x77, 0x77), 'unsupported'],
    ['an unknown scheme hash', edited(14, 0x77, 0x77), 'unsupported'],
    ['an unknown curve', edited(16, 0x00, 0x10), 'unsupported'],
    ['a key derivation scheme', edited(18, 0x00, 0x20), 'unsupported'],
  ])('refuses %s', (_name, bytes, code) => {
    expect(codeOf(bytes)).toBe(code);
  });

  it('refuses a policy that is no digest of the name algorithm', () => {
    const short = encodeTpmtPublic({ ...area, authPolicy: new Uint8Array(20) });
    expect(codeOf(short)).toBe('invalid-value');
  });

  it('refuses AES with a key size that AES does not have', () => {
    const wrong = encodeTpmtPublic({ ...area, symmetric: { keyBits: 100 as 128, mode: ALG.CFB } });
    expect(codeOf(wrong)).toBe('invalid-value');
  });

  it('refuses a point without coordinates', () => {
    expect(codeOf(encodeTpmtPublic({ ...area, x: EMPTY } as typeof area))).toBe('invalid-value');
  });

  it('refuses a point off the curve when it becomes a key', () => {
    const off = { ...area, y: new Uint8Array(32).fill(1) } as typeof area;
    expect(() => toKeyObject(off)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
  });

  it('takes coordinates whose leading zeros the TPM dropped', () => {
    expect(toHex(padInteger(Uint8Array.of(5), 4))).toBe('00000005');
    expect(() => padInteger(new Uint8Array(5), 4)).toThrow(expect.objectContaining({ code: 'too-long' }));
  });

  it('E8 reads exponent 0 as 65537 and any other as it stands', () => {
    const modulus = new Uint8Array(256).fill(0xff);
    const rsa = (exponent: number) =>
      parseTpmtPublic(
        encodeTpmtPublic({
          type: 'rsa',
          nameAlg: SHA256,
          attributes: AK_ATTRIBUTES,
          authPolicy: EMPTY,
          scheme: { id: ALG.RSAES },
          keyBits: 2048,
          exponent,
          modulus,
        }),
      );
    expect(rsa(65537)).toMatchObject({ exponent: 65537, keyBits: 2048, scheme: { id: ALG.RSAES } });
    expect(rsa(3)).toMatchObject({ exponent: 3 });
    const exponents = [17, 65537].map((exponent) => toKeyObject(rsa(exponent)).export({ format: 'jwk' }).e);
    expect(exponents).toEqual(['EQ', 'AQAB']);
  });

  it.each([
    ['a length that is not a TPM key size', 1000, 125],
    ['a modulus shorter than it says', 2048, 255],
    ['no modulus', 2048, 0],
    ['a modulus whose first bit is zero', 2048, 256, 0x7f],
  ])('refuses RSA with %s', (_name, keyBits, length, fill = 0xff) => {
    const bytes = encodeTpmtPublic({
      type: 'rsa',
      nameAlg: SHA256,
      attributes: AK_ATTRIBUTES,
      authPolicy: EMPTY,
      scheme: { id: ALG.NULL },
      keyBits,
      exponent: 65537,
      modulus: new Uint8Array(length).fill(fill),
    });
    expect(['invalid-value', 'unsupported']).toContain(codeOf(bytes));
  });

  it('refuses an even modulus, with which nothing can be encrypted', () => {
    const rsa = (lastByte: number) =>
      encodeTpmtPublic({
        type: 'rsa',
        nameAlg: SHA256,
        attributes: AK_ATTRIBUTES,
        authPolicy: EMPTY,
        scheme: { id: ALG.NULL },
        keyBits: 2048,
        exponent: 65537,
        modulus: new Uint8Array(256).fill(0xff).fill(lastByte, 255),
      });
    expect(codeOf(rsa(0xff))).toBe('accepted');
    expect(codeOf(rsa(0xfe))).toBe('invalid-value');
  });

  it('knows the three curves of EKs and AKs', () => {
    expect([3, 4, 5].map((id) => curveById(id)?.name)).toEqual(['P-256', 'P-384', 'P-521']);
    expect(curveById(2)).toBeUndefined();
  });
});

describe('writers', () => {
  it('refuse numbers that do not fit', () => {
    expect(toHex(u32(0xffff_ffff))).toBe('ffffffff');
    for (const value of [-1, 0x1_0000, 1.5, Number.NaN])
      expect(() => u16(value)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
  });

  it('refuse what is no UINT64', () => {
    expect(toHex(u64((1n << 64n) - 1n))).toBe('ffffffffffffffff');
    for (const value of [-1n, 1n << 64n])
      expect(() => u64(value)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
  });

  it('refuse a PCR that no TPM has', () => {
    const encode = (...pcrs: number[]) => toHex(encodePcrSelections([{ hash: SHA256, pcrs }]));
    expect(encode(0, 9, 23)).toBe('00000001000b03010280');
    expect(() => encode(24)).toThrow(expect.objectContaining({ code: 'invalid-value' }));
  });

  it('write what fromHex reads', () => {
    expect(toHex(fromHex('00ff'))).toBe('00ff');
  });
});
