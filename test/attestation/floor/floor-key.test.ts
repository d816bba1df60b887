import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  FloorApprovalError,
  type FloorApprovals,
  signFloorApprovals,
  verifyFloorApprovals,
} from '../../../src/attestation/floor/floor-approval.ts';
import { floorIndexPublic } from '../../../src/attestation/floor/floor-index.ts';
import { FloorKeyError, floorKeyNameOf, parseFloorKey } from '../../../src/attestation/floor/floor-key.ts';
import { fromHex, toBase64, toHex } from '../../../src/core/bytes.ts';
import { parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';

/** With the Name that tpm2_loadexternal of tpm2-tools 5.4 gave it in swtpm. */
const SPKI = fromHex(
  '3059301306072a8648ce3d020106082a8648ce3d0301070342000460cc6f2ebdd728068942445ff461d8f4259d983354eab7e4309eaa246fada0eb08569714d330a30914b0bf1564338538d3b68a4808b60eae78656d99246730ad',
);
const NAME = '000bd6fb0cbfb23dbbaa1658d620653f2ea21e2d79c4ffdcd0641a4ec8cdaab65a46';

const spkiOf = (namedCurve: string) =>
  generateKeyPairSync('ec', { namedCurve }).publicKey.export({ type: 'spki', format: 'der' });

describe('the floor key', () => {
  it('has the Name that a TPM gives it', () => {
    expect(toHex(floorKeyNameOf(parseFloorKey(toBase64(SPKI))))).toBe(NAME);
  });

  it.each([
    ['a key on P-384', toBase64(spkiOf('P-384'))],
    [
      'an Ed25519 key',
      toBase64(generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'der' })),
    ],
    ['a point that is not on the curve', toBase64(SPKI.map((byte, at) => (at === 90 ? byte ^ 1 : byte)))],
    ['a key with a byte too many', toBase64(new Uint8Array([...SPKI, 0]))],
    ['base64 without its padding', toBase64(SPKI).replace(/=+$/, '')],
    ['no base64', '!'],
    ['nothing', ''],
  ])('is none when it is %s', (_name, spki) => {
    expect(() => parseFloorKey(spki)).toThrow(FloorKeyError);
  });

  it('is refused in its compressed spelling: it has one', () => {
    const compressed = new Uint8Array([
      ...fromHex('3039301306072a8648ce3d020106082a8648ce3d030107032200'),
      3,
      ...SPKI.subarray(27, 59),
    ]);
    expect(() => parseFloorKey(toBase64(compressed))).toThrow(FloorKeyError);
  });
});

describe('the NV index of the floor', () => {
  it('is the one of docs/protocol.md, in each of its forms', () => {
    const attributesOf = (form: 'unwritten' | 'unlocked' | 'locked') =>
      parseTpmsNvPublic(floorIndexPublic(fromHex(NAME), form)).attributes.toString(16);
    expect(attributesOf('unwritten')).toBe('2064008');
    expect(attributesOf('unlocked')).toBe('22064008');
    expect(attributesOf('locked')).toBe('22064808');
    expect(toHex(floorIndexPublic(fromHex(NAME), 'locked'))).toBe(
      '0180b007000b220648080020ebb5f0e61d6a6c47c0dd6b2eeb9afb1191c9fe54c0c5978272e7645f4061b8f80040',
    );
  });
});

describe('floor approvals', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const other = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const floorKey = toBase64(publicKey.export({ type: 'spki', format: 'der' }));
  const pcrs = {
    pcr4SecureBoot: new Uint8Array(32).fill(4),
    pcr4NoSecureBoot: new Uint8Array(32).fill(5),
    pcr11: new Uint8Array(32).fill(11),
  };
  const approve = (of: Parameters<typeof signFloorApprovals>[0] = pcrs, key = privateKey) =>
    signFloorApprovals(of, (message) => sign('sha256', message, key));
  const verdictOn = (floorApprovals: FloorApprovals, of: Parameters<typeof signFloorApprovals>[0] = pcrs) =>
    verifyFloorApprovals({ floorKey, floorApprovals }, of);

  it('are there for each PCR 4 that can be predicted, and verify', async () => {
    const both = await approve();
    expect(() => verdictOn(both)).not.toThrow();
    const { pcr4NoSecureBoot: _, ...signedOnly } = pcrs;
    const one = await approve(signedOnly);
    expect(Object.keys(one)).toEqual(['secureBoot']);
    expect(() => verdictOn(one, signedOnly)).not.toThrow();
    expect(() => verdictOn(both, signedOnly)).toThrow(/where PCR 4 of this image is not known/);
    expect(() => verdictOn({ secureBoot: both.secureBoot })).toThrow(/Secure Boot off is missing/);
  });

  it('P8 are refused of another key, of another image, and for each other', async () => {
    const right = await approve();
    const wrong: FloorApprovals[] = [
      await approve(pcrs, other),
      await approve({ ...pcrs, pcr11: new Uint8Array(32) }),
      { secureBoot: right.noSecureBoot ?? '', noSecureBoot: right.secureBoot },
      { ...right, noSecureBoot: right.secureBoot },
      { ...right, secureBoot: '00' },
    ];
    for (const approvals of wrong) expect(() => verdictOn(approvals)).toThrow(FloorApprovalError);
  });
});
