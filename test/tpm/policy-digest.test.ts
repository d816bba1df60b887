import { describe, expect, it } from 'vitest';
import { asciiBytes, fromHex, toHex } from '../../src/core/bytes.ts';
import { SHA256 } from '../../src/tpm/algorithms.ts';
import { policyAuthorizeDigest, policyPcrDigest } from '../../src/tpm/policy-digest.ts';

/** Recorded from swtpm 0.7 with tpm2-tools 5.4: tpm2_policypcr -L, tpm2_policyauthorize -L. */
const RECORDED = {
  pcrs: new Map([
    [4, fromHex('9ef814b42fa0be12d197c44d3e8e03441a4b1118237658368ba1351090e556ed')],
    [11, fromHex('86bfbce7f88e77dab6bbfb923bb70e2411d374dc658db751c9bdec438f5cce54')],
    [12, new Uint8Array(32)],
    [13, new Uint8Array(32)],
    [14, new Uint8Array(32)],
  ]),
  policyPcr: 'b0afb9d456eba56b00433ebbd4392e907d65869c122eac2b5919469ab0b0e710',
  keyName: fromHex('000bd6fb0cbfb23dbbaa1658d620653f2ea21e2d79c4ffdcd0641a4ec8cdaab65a46'),
  policyRef: asciiBytes('bootward-nv-v1'),
  policyAuthorize: 'ebb5f0e61d6a6c47c0dd6b2eeb9afb1191c9fe54c0c5978272e7645f4061b8f8',
};

describe('policy digests', () => {
  it('PolicyPCR gives what a TPM gives, in whatever order the PCRs come', () => {
    const digestOf = (pcrs: ReadonlyMap<number, Uint8Array>) =>
      toHex(policyPcrDigest(SHA256, { bank: SHA256, pcrs }));
    expect(digestOf(RECORDED.pcrs)).toBe(RECORDED.policyPcr);
    expect(digestOf(new Map([...RECORDED.pcrs].reverse()))).toBe(RECORDED.policyPcr);
  });

  it('PolicyPCR depends on which PCRs there are, and on each of their values', () => {
    const others = [
      new Map([...RECORDED.pcrs].slice(0, 2)),
      new Map([...RECORDED.pcrs, [7, new Uint8Array(32)]]),
      ...[12, 13, 14].map((pcr) => new Map([...RECORDED.pcrs, [pcr, new Uint8Array(32).fill(1)]])),
    ];
    for (const pcrs of others)
      expect(toHex(policyPcrDigest(SHA256, { bank: SHA256, pcrs }))).not.toBe(RECORDED.policyPcr);
  });

  it('PolicyAuthorize gives what a TPM gives for this key and this reference', () => {
    const digestOf = (changes: Partial<typeof RECORDED>) =>
      toHex(policyAuthorizeDigest(SHA256, { ...RECORDED, ...changes }));
    expect(digestOf({})).toBe(RECORDED.policyAuthorize);
    expect(digestOf({ policyRef: asciiBytes('bootward-nv-v2') })).not.toBe(RECORDED.policyAuthorize);
    expect(digestOf({ keyName: new Uint8Array(34) })).not.toBe(RECORDED.policyAuthorize);
  });
});
