import { asciiBytes, EMPTY, fromHex } from '../../../src/core/bytes.ts';
import {
  AK_ATTRIBUTES,
  CLOCK_INFO,
  FIRMWARE_VERSION,
  hashOf,
  SHA256,
} from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById } from '../../../src/tpm/algorithms.ts';
import { encodeTpmsAttest, parseTpmsAttest } from '../../../src/tpm/attest.ts';
import { encodeTpmsNvPublic, parseTpm2bNvPublic, parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';
import { encodePcrSelections, readPcrSelections } from '../../../src/tpm/pcr-selection.ts';
import {
  encodeTpmtPublic,
  parseTpm2bPublic,
  parseTpmtPublic,
  type TpmPublic,
} from '../../../src/tpm/public-area.ts';
import { toKeyObject } from '../../../src/tpm/public-key.ts';
import { parseWhole } from '../../../src/tpm/reader.ts';
import { encodeTpmtSignature, parseTpmtSignature } from '../../../src/tpm/signature.ts';
import { sized } from '../../../src/tpm/writer.ts';
import { type FuzzTarget, requireSame } from '../target.ts';

const NV_PUBLIC = encodeTpmsNvPublic({
  nvIndex: 0x0180_0001,
  nameAlg: SHA256,
  attributes: 0x2004_0004,
  authPolicy: new Uint8Array(32).fill(3),
  dataSize: 64,
});

export const TPM_TARGETS: readonly FuzzTarget[] = [
  {
    name: 'tpmt-public',
    format: 'bytes',
    prepare: () => ({
      seeds: publicAreas(),
      examine: (input) => examinePublic(input, parseTpmtPublic(input)),
    }),
  },
  {
    name: 'tpm2b-public',
    format: 'bytes',
    prepare: () => ({
      seeds: publicAreas().map(sized),
      examine: (input) => examinePublic(input.subarray(2), parseTpm2bPublic(input)),
    }),
  },
  {
    name: 'tpms-attest',
    format: 'bytes',
    prepare: () => ({ seeds: attests(), examine: examineAttest }),
  },
  {
    name: 'tpmt-signature',
    format: 'bytes',
    prepare: () => ({
      seeds: [
        encodeTpmtSignature({ scheme: ALG.ECDSA, hash: SHA256, r: filled(32, 1), s: filled(32, 2) }),
        encodeTpmtSignature({ scheme: ALG.RSAPSS, hash: SHA256, signature: filled(256, 3) }),
        encodeTpmtSignature({ scheme: ALG.RSASSA, hash: hashOf(ALG.SHA512), signature: filled(512, 4) }),
      ],
      examine: (input) => {
        const signature = parseTpmtSignature(input);
        requireSame(encodeTpmtSignature(signature), input);
        return signature;
      },
    }),
  },
  {
    name: 'tpms-nv-public',
    format: 'bytes',
    prepare: () => ({
      seeds: [NV_PUBLIC],
      examine: (input) => {
        const area = parseTpmsNvPublic(input);
        requireSame(encodeTpmsNvPublic(area), input);
        return area;
      },
    }),
  },
  {
    name: 'tpm2b-nv-public',
    format: 'bytes',
    prepare: () => ({
      seeds: [sized(NV_PUBLIC)],
      examine: (input) => {
        const area = parseTpm2bNvPublic(input);
        requireSame(sized(encodeTpmsNvPublic(area)), input);
        return area;
      },
    }),
  },
  {
    name: 'pcr-selections',
    format: 'bytes',
    prepare: () => ({
      seeds: [
        encodePcrSelections([{ hash: SHA256, pcrs: [0, 7, 11, 23] }]),
        encodePcrSelections([
          { hash: hashOf(ALG.SHA1), pcrs: [] },
          { hash: hashOf(ALG.SHA384), pcrs: [1, 2, 3] },
        ]),
      ],
      examine: (input) => {
        const selections = parseWhole(input, 'TPML_PCR_SELECTION', readPcrSelections);
        // A mask may be wider than it must be (sizeofSelect 4): that spelling is not the one written.
        const written = encodePcrSelections(selections);
        if (written.length === input.length) requireSame(written, input);
        else requireSame(encodePcrSelections(parseWhole(written, '', readPcrSelections)), written);
        return selections;
      },
    }),
  },
];

/** The generator of P-256, and a modulus that nobody knows the factors of: no private key is near. */
function publicAreas(): Uint8Array[] {
  const curve = curveById(3);
  if (curve === undefined) throw new Error('the table has lost P-256');
  const common = { nameAlg: SHA256, attributes: AK_ATTRIBUTES, authPolicy: EMPTY };
  const rsa = { type: 'rsa', ...common, keyBits: 2048, exponent: 65537, modulus: filled(256, 0xc3) } as const;
  return [
    encodeTpmtPublic({
      type: 'ecc',
      ...common,
      scheme: { id: ALG.ECDSA, hash: SHA256 },
      curve,
      x: fromHex('6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'),
      y: fromHex('4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5'),
    }),
    encodeTpmtPublic({ ...rsa, scheme: { id: ALG.RSASSA, hash: SHA256 } }),
    encodeTpmtPublic({
      ...rsa,
      exponent: 3,
      authPolicy: filled(32, 5),
      symmetric: { keyBits: 128, mode: ALG.CFB },
      scheme: { id: ALG.NULL },
    }),
  ];
}

function examinePublic(input: Uint8Array, area: TpmPublic): unknown {
  const written = encodeTpmtPublic(area);
  // 65537 has two spellings, 0 and itself; the Name covers the bytes as they came.
  const spelledOut = area.type === 'rsa' && area.exponent === 65537;
  if (spelledOut) requireSame(encodeTpmtPublic(parseTpmtPublic(written)), written);
  else requireSame(written, input);
  requireSame(area.raw, input);
  return { area, spki: toKeyObject(area).export({ type: 'spki', format: 'der' }) };
}

function attests(): Uint8Array[] {
  const base = {
    qualifiedSigner: filled(34, 0x22),
    extraData: filled(32, 1),
    clockInfo: CLOCK_INFO,
    firmwareVersion: FIRMWARE_VERSION,
  };
  const quote = encodeTpmsAttest({
    type: 'quote',
    ...base,
    selections: [{ hash: SHA256, pcrs: [0, 4, 7, 11] }],
    pcrDigest: filled(32, 2),
  });
  const certified = encodeTpmsAttest({
    type: 'nv',
    ...base,
    indexName: filled(34, 3),
    offset: 0,
    contents: asciiBytes('the floor record'),
  });
  const certify = Uint8Array.from(quote);
  certify[5] = 0x17;
  return [quote, certified, certify];
}

function examineAttest(input: Uint8Array): unknown {
  const attest = parseTpmsAttest(input);
  if (attest.type === 'other') return attest;
  const written = encodeTpmsAttest(attest);
  if (written.length === input.length) requireSame(written, input);
  else requireSame(encodeTpmsAttest(parseTpmsAttest(written) as typeof attest), written);
  return attest;
}

function filled(length: number, value: number): Uint8Array {
  return new Uint8Array(length).fill(value);
}
