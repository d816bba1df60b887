import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EMPTY, toHex } from '../../src/core/bytes.ts';
import { SHA256 } from '../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById, describeScheme, hashById, SHA1 } from '../../src/tpm/algorithms.ts';
import { encodeTpmsAttest, parseTpmsAttest } from '../../src/tpm/attest.ts';
import { TpmFormatError } from '../../src/tpm/errors.ts';
import { encodeTpmsNvPublic, parseTpmsNvPublic } from '../../src/tpm/nv-public.ts';
import { OBJECT_ATTRIBUTE_BITS } from '../../src/tpm/object-attributes.ts';
import { encodeTpmtPublic, parseTpmtPublic } from '../../src/tpm/public-area.ts';
import { encodeTpmtSignature, parseTpmtSignature } from '../../src/tpm/signature.ts';

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const bytes = (minLength: number, maxLength = minLength) => fc.uint8Array({ minLength, maxLength });
const hash = fc.constantFrom(ALG.SHA1, ALG.SHA256, ALG.SHA384, ALG.SHA512).map((id) => {
  const found = hashById(id);
  if (found === undefined) throw new Error('the table has lost a hash');
  return found;
});
const attributes = fc
  .uniqueArray(fc.constantFrom(...Object.values(OBJECT_ATTRIBUTE_BITS)))
  .map((bits) => bits.reduce((mask, bit) => mask | (1 << bit), 0));

const common = hash.chain((nameAlg) =>
  fc.record({
    nameAlg: fc.constant(nameAlg),
    attributes,
    authPolicy: fc.oneof(bytes(0), bytes(nameAlg.size)),
  }),
);
const symmetric = fc.option(
  fc.record({ keyBits: fc.constantFrom(128 as const, 256 as const), mode: fc.constant(0x43) }),
  {
    nil: undefined,
  },
);
const withSymmetric = <T extends object>(area: T, value: { keyBits: 128 | 256; mode: number } | undefined) =>
  value === undefined ? area : { ...area, symmetric: value };

const rsaPublic = fc
  .tuple(
    common,
    symmetric,
    hash,
    fc.constantFrom(2048, 3072, 4096),
    fc.constantFrom(65537, 3, 257),
    bytes(512),
  )
  .map(([base, sym, schemeHash, keyBits, exponent, random]) => {
    const modulus = random.slice(0, keyBits / 8);
    modulus[0] = 0x80 | (modulus[0] ?? 0);
    modulus[modulus.length - 1] = 1 | (modulus.at(-1) ?? 0);
    return withSymmetric(
      {
        type: 'rsa' as const,
        ...base,
        scheme: { id: ALG.RSASSA, hash: schemeHash },
        keyBits,
        exponent,
        modulus,
      },
      sym,
    );
  });

const eccPublic = fc
  .tuple(common, symmetric, fc.constantFrom(3, 4, 5), bytes(66), bytes(66))
  .map(([base, sym, curveId, x, y]) => {
    const curve = curveById(curveId);
    if (curve === undefined) throw new Error('the table has lost a curve');
    const size = curve.coordinateSize;
    return withSymmetric(
      {
        type: 'ecc' as const,
        ...base,
        scheme: { id: ALG.NULL },
        curve,
        x: x.slice(0, size),
        y: y.slice(0, size),
      },
      sym,
    );
  });

const attestBase = fc.record({
  qualifiedSigner: bytes(0, 66),
  extraData: bytes(0, 64),
  clockInfo: fc.record({ clock: u64, resetCount: u32, restartCount: u32, safe: fc.boolean() }),
  firmwareVersion: u64,
});
const selection = fc.record({
  hash,
  pcrs: fc
    .uniqueArray(fc.integer({ min: 0, max: 23 }))
    .map((pcrs) => pcrs.sort((a: number, b: number) => a - b)),
});
const quote = fc
  .tuple(attestBase, fc.array(selection, { maxLength: 4 }), bytes(0, 64))
  .map(([base, selections, pcrDigest]) => ({ type: 'quote' as const, ...base, selections, pcrDigest }));
const nvCertify = fc
  .tuple(attestBase, bytes(0, 66), fc.integer({ min: 0, max: 0xffff }), bytes(0, 128))
  .map(([base, indexName, offset, contents]) => ({
    type: 'nv' as const,
    ...base,
    indexName,
    offset,
    contents,
  }));

const signature = fc.oneof(
  fc
    .tuple(fc.constantFrom(ALG.RSASSA, ALG.RSAPSS), hash, bytes(1, 512))
    .map(([scheme, h, value]) => ({ scheme, hash: h, signature: value })),
  fc
    .tuple(hash, bytes(1, 66), bytes(1, 66))
    .map(([h, r, s]) => ({ scheme: ALG.ECDSA as typeof ALG.ECDSA, hash: h, r, s })),
);

const nvPublic = common.chain(({ nameAlg, authPolicy }) =>
  fc.record({
    nvIndex: fc.integer({ min: 0x0100_0000, max: 0x01ff_ffff }),
    nameAlg: fc.constant(nameAlg),
    attributes: u32,
    authPolicy: fc.constant(authPolicy),
    dataSize: fc.integer({ min: 0, max: 0xffff }),
  }),
);

describe('signature schemes in words', () => {
  it('are as in the specification, with their hash if there is one, or a number', () => {
    expect(describeScheme({ id: ALG.ECDSA, hash: SHA1 })).toBe('ECDSA with sha1');
    expect(describeScheme({ id: ALG.NULL })).toBe('NULL');
    expect(describeScheme({ id: 0x1a })).toBe('0x001a');
  });
});

describe('TPMS_NV_PUBLIC', () => {
  const area = { nvIndex: 0x0150_0020, nameAlg: SHA256, attributes: 0, dataSize: 64 };
  const codeOf = (changes: object) => {
    try {
      parseTpmsNvPublic(encodeTpmsNvPublic({ ...area, authPolicy: EMPTY, ...changes }));
      return 'read';
    } catch (cause) {
      return (cause as TpmFormatError).code;
    }
  };

  it.each([
    ['takes an empty policy', {}, 'read'],
    ['takes a policy of its name algorithm', { authPolicy: new Uint8Array(32) }, 'read'],
    ['refuses a shorter policy', { authPolicy: new Uint8Array(20) }, 'invalid-value'],
    ['refuses a longer policy', { authPolicy: new Uint8Array(33) }, 'too-long'],
    ['refuses a handle that is no NV index', { nvIndex: 0x8150_0020 }, 'invalid-value'],
    ['refuses an unknown name algorithm', { nameAlg: { ...SHA256, id: 0x7777 } }, 'unsupported'],
  ])('%s', (_name, changes, code) => expect(codeOf(changes)).toBe(code));
});

const STRUCTURES = [
  {
    name: 'TPMT_PUBLIC',
    values: fc.oneof(rsaPublic, eccPublic).map((v) => encodeTpmtPublic(v)),
    parse: parseTpmtPublic,
    encode: encodeTpmtPublic,
  },
  {
    name: 'TPMS_ATTEST',
    values: fc.oneof(quote, nvCertify).map((v) => encodeTpmsAttest(v)),
    parse: parseTpmsAttest,
    encode: encodeTpmsAttest,
  },
  {
    name: 'TPMT_SIGNATURE',
    values: signature.map((v) => encodeTpmtSignature(v)),
    parse: parseTpmtSignature,
    encode: encodeTpmtSignature,
  },
  {
    name: 'TPMS_NV_PUBLIC',
    values: nvPublic.map((v) => encodeTpmsNvPublic(v)),
    parse: parseTpmsNvPublic,
    encode: encodeTpmsNvPublic,
  },
] as const;

describe.each(STRUCTURES)('$name', ({ values, parse, encode }) => {
  const roundTrip = (bytes: Uint8Array) => (encode as (value: unknown) => Uint8Array)(parse(bytes));

  it('is written again exactly as it was read', () => {
    fc.assert(
      fc.property(values, (encoded) => {
        expect(toHex(roundTrip(encoded))).toBe(toHex(encoded));
      }),
    );
  });

  it('is refused when it ends at any earlier byte', () => {
    const encoded = fc.sample(values, { numRuns: 8, seed: 7 });
    for (const whole of encoded)
      for (let length = 0; length < whole.length; length += 1)
        expect(() => parse(whole.subarray(0, length))).toThrow(TpmFormatError);
  });

  it('is refused with one byte behind it', () => {
    for (const whole of fc.sample(values, { numRuns: 8, seed: 7 }))
      expect(() => parse(Uint8Array.of(...whole, 0))).toThrow(
        expect.objectContaining({ code: 'trailing-bytes' }),
      );
  });

  it('is a value or a format error, whatever the bytes', () => {
    const [sample = new Uint8Array(0)] = fc.sample(values, { numRuns: 1, seed: 7 });
    const mutated = fc.array(fc.tuple(fc.nat(sample.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 6,
    });
    fc.assert(
      fc.property(mutated, (edits) => {
        const bytes = Uint8Array.from(sample);
        for (const [offset, value] of edits) bytes[offset] = value;
        try {
          parse(bytes);
        } catch (cause) {
          expect(cause).toBeInstanceOf(TpmFormatError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
