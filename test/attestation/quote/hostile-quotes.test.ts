import { describe, expect, it } from 'vitest';
import type { PcrValues } from '../../../src/attestation/quote/pcr-values.ts';
import { verifyEvidence } from '../../../src/attestation/verify.ts';
import { asciiBytes, concatBytes, EMPTY, sha256 } from '../../../src/core/bytes.ts';
import { buildNvCertify, createSoftwareAk, hashOf, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG } from '../../../src/tpm/algorithms.ts';
import type { QuoteAttest } from '../../../src/tpm/attest.ts';
import { encodeTpmtSignature } from '../../../src/tpm/signature.ts';
import {
  AK,
  BOOT_LOG,
  codesOf,
  EXTRA_DATA,
  POLICY,
  POLICY_PCRS,
  pcrsOf,
  sealEvidence,
  validInput,
} from '../evidence-fixture.ts';

// Each case takes evidence that is accepted, changes exactly one thing, and signs it again with the node's
// own key where an attacker with root could: the reason must be that one thing.

const PCRS = pcrsOf(BOOT_LOG);
const seal = (changes: Partial<QuoteAttest>) => sealEvidence({ log: BOOT_LOG, pcrs: PCRS, changes });
const codesFor = (untrustedEvidence: ReturnType<typeof sealEvidence>) =>
  codesOf(verifyEvidence(validInput({ untrustedEvidence })));

/** Signs these bytes as they are, whatever they say. */
function sealBytes(edit: (attest: Buffer) => Uint8Array) {
  const valid = seal({});
  const attest = edit(Buffer.from(valid.attest));
  return { ...valid, attest, signature: AK.sign(attest) };
}

const SELECTION_OFFSET = 4 + 2 + (2 + 34) + (2 + 32) + 17 + 8;

describe('extraData', () => {
  it.each<[string, Uint8Array]>([
    ['Q1 refuses a quote that answered an earlier challenge', sha256(asciiBytes('the challenge before'))],
    ['Q2 refuses a quote that answered the challenge of another node', sha256(asciiBytes('another node'))],
    ['Q3 refuses a quote without extraData', EMPTY],
    ['Q5 refuses a prefix of the expected extraData', EXTRA_DATA.subarray(0, 31)],
    ['Q6 refuses the expected extraData with a suffix', concatBytes(EXTRA_DATA, Uint8Array.of(0))],
  ])('%s', (_name, extraData) => {
    expect(codesFor(seal({ extraData }))).toEqual(['extra-data-mismatch']);
  });

  it('Q4 refuses an empty quote even when nothing was expected to be in it', () => {
    const input = validInput({ untrustedEvidence: seal({ extraData: EMPTY }) });
    expect(codesOf(verifyEvidence(input))).toEqual(['extra-data-mismatch']);
  });
});

describe('the attestation structure', () => {
  const withType = (type: number) => sealBytes((attest) => attest.fill(type & 0xff, 5, 6));

  it('Q8 refuses what the TPM did not generate', () => {
    expect(codesFor(sealBytes((attest) => attest.fill(0xfe, 0, 1)))).toEqual(['attest-malformed']);
  });

  it.each([
    ['Q9 refuses a CERTIFY in place of a quote', 0x17],
    ['Q10 refuses a TIME attestation in place of a quote', 0x19],
  ])('%s', (_name, type) => {
    expect(codesFor(withType(type))).toEqual(['attest-not-quote']);
  });

  it('Q11 refuses an NV certification in place of a quote', () => {
    const attest = buildNvCertify({ extraData: EXTRA_DATA, indexName: EMPTY, contents: EMPTY });
    expect(codesFor({ ...seal({}), attest, signature: AK.sign(attest) })).toEqual(['attest-not-quote']);
  });

  it('Q13 refuses bytes behind the structure', () => {
    expect(codesFor(sealBytes((attest) => concatBytes(attest, Uint8Array.of(0))))).toEqual([
      'attest-malformed',
    ]);
  });

  it('Q14 refuses it cut off at any byte', () => {
    const whole = seal({}).attest;
    for (let length = 0; length < whole.length; length += 1)
      expect(codesFor({ ...seal({}), attest: whole.subarray(0, length) })).toEqual(['attest-malformed']);
  });

  it('Q12 refuses an unknown type', () => {
    expect(codesFor(withType(0x55))).toEqual(['attest-malformed']);
  });
});

describe('the PCR selection', () => {
  const without = (pcr: number) => new Map([...PCRS].filter(([index]) => index !== pcr));

  it('Q15 refuses a quote that leaves out a PCR of the policy', () => {
    expect(codesFor(sealEvidence({ log: BOOT_LOG, pcrs: without(7) }))).toEqual(['selection-incomplete']);
  });

  it('Q16 refuses a quote over no PCR', () => {
    expect(codesFor({ ...seal({ selections: [] }), pcrs: new Map() })).toEqual(['selection-empty']);
  });

  it('Q18 refuses a selection with an empty mask', () => {
    expect(codesFor({ ...seal({ selections: [{ hash: SHA256, pcrs: [] }] }), pcrs: new Map() })).toEqual([
      'selection-empty',
    ]);
  });

  it('Q19 refuses an empty mask beside a full one', () => {
    const selections = [
      { hash: SHA256, pcrs: POLICY_PCRS },
      { hash: hashOf(ALG.SHA384), pcrs: [] },
    ];
    expect(codesFor(seal({ selections }))).toEqual(['selection-empty']);
  });

  it('Q20 refuses a quote of the SHA-1 bank', () => {
    const sha1 = hashOf(ALG.SHA1);
    const pcrs = new Map(POLICY_PCRS.map((pcr) => [pcr, new Uint8Array(20)]));
    expect(codesFor(sealEvidence({ log: BOOT_LOG, pcrs, bank: sha1 }))).toEqual(['selection-bank-missing']);
  });

  it.each(['sha1', 'sm3', 'md5', ''])('Q21 refuses a policy that asks for bank %j', (bank) => {
    const input = validInput({ policy: { ...POLICY, bank } });
    expect(codesOf(verifyEvidence(input))).toEqual(['bank-not-accepted']);
  });

  it('Q22 refuses a bank that is selected twice', () => {
    const selection = { hash: SHA256, pcrs: POLICY_PCRS };
    expect(codesFor(seal({ selections: [selection, selection] }))).toEqual(['selection-duplicate-bank']);
  });

  it.each<[string, number[], number]>([
    ['Q23 refuses a selection count of 2^32 - 1', [0xff, 0xff, 0xff, 0xff], 0],
    ['Q24 refuses sizeofSelect 255', [255], 6],
    ['Q25 refuses sizeofSelect 0', [0], 6],
    ['Q27 refuses an unknown bank', [0x77, 0x77], 4],
  ])('%s', (_name, values, offset) => {
    const evidence = sealBytes((attest) => {
      attest.set(values, SELECTION_OFFSET + offset);
      return attest;
    });
    expect(codesFor(evidence)).toEqual(['attest-malformed']);
  });

  it('Q26 refuses PCR 24, in a mask of four bytes', () => {
    const withFourthByte = (byte: number) =>
      sealBytes((attest) => {
        const maskEnd = SELECTION_OFFSET + 10;
        attest.set([4], SELECTION_OFFSET + 6);
        return concatBytes(attest.subarray(0, maskEnd), Uint8Array.of(byte), attest.subarray(maskEnd));
      });
    expect(codesFor(withFourthByte(0))).toEqual([]);
    expect(codesFor(withFourthByte(1))).toEqual(['attest-malformed']);
  });

  it('Q17 refuses a policy without PCRs', () => {
    expect(codesOf(verifyEvidence(validInput({ policy: { ...POLICY, pcrs: [] } })))).toEqual([
      'selection-empty',
    ]);
  });

  it('accepts a second bank whose values are all there', () => {
    const sha384 = hashOf(ALG.SHA384);
    const value = new Uint8Array(48).fill(3);
    const valid = seal({});
    const digestInput = concatBytes(...POLICY_PCRS.map((pcr) => PCRS.get(pcr) ?? EMPTY), value);
    const changes = {
      selections: [
        { hash: SHA256, pcrs: POLICY_PCRS },
        { hash: sha384, pcrs: [0] },
      ],
      pcrDigest: sha256(digestInput),
    };
    const pcrs: PcrValues = new Map([...valid.pcrs, ['sha384', new Map([[0, value]])]]);
    expect(codesFor({ ...seal(changes), pcrs })).toEqual([]);
    expect(codesFor(seal(changes))).toEqual(['pcr-value-missing']);
  });
});

describe('the PCR values', () => {
  const valuesWith = (pcr: number, value: Uint8Array) =>
    new Map([['sha256', new Map([...PCRS, [pcr, value]])]]);

  it('Q28 refuses values that are not the quoted ones', () => {
    expect(codesFor({ ...seal({}), pcrs: valuesWith(0, new Uint8Array(32).fill(9)) })).toEqual([
      'pcr-digest-mismatch',
    ]);
  });

  it('Q29 refuses a digest that is not of the values', () => {
    expect(codesFor(seal({ pcrDigest: new Uint8Array(32) }))).toEqual(['pcr-digest-mismatch']);
    expect(codesFor(seal({ pcrDigest: EMPTY }))).toEqual(['pcr-digest-mismatch']);
  });

  it('Q31 refuses a value that the quote does not cover', () => {
    expect(codesFor({ ...seal({}), pcrs: valuesWith(10, new Uint8Array(32)) })).toEqual([
      'pcr-value-unquoted',
    ]);
  });

  it('Q32 refuses a whole bank that the quote does not cover', () => {
    const withSha1 = (values: ReadonlyMap<number, Uint8Array>): PcrValues =>
      new Map([...seal({}).pcrs, ['sha1', values]]);
    for (const values of [new Map(), new Map([[0, new Uint8Array(20)]])])
      expect(codesFor({ ...seal({}), pcrs: withSha1(values) })).toEqual(['pcr-value-unquoted']);
  });

  it('Q30 refuses a quoted PCR without a value, or with one of another length', () => {
    const missing = new Map([['sha256', new Map([...PCRS].filter(([pcr]) => pcr !== 7))]]);
    expect(codesFor({ ...seal({}), pcrs: missing })).toEqual(['pcr-value-missing']);
    expect(codesFor({ ...seal({}), pcrs: valuesWith(7, new Uint8Array(20)) })).toEqual(['pcr-value-missing']);
  });
});

describe('the signature', () => {
  const valid = seal({});
  const codesWith = (signature: Uint8Array) => codesFor({ ...valid, signature });
  const edited = (offset: number, ...values: number[]) => {
    const bytes = Uint8Array.from(valid.signature);
    bytes.set(values, offset);
    return bytes;
  };

  it('Q33 refuses a flipped bit', () => {
    const last = valid.signature.length - 1;
    expect(codesWith(edited(last, (valid.signature[last] ?? 0) ^ 1))).toEqual(['signature-invalid']);
  });

  it('Q34 refuses the signature of another attestation key', () => {
    expect(codesWith(createSoftwareAk().sign(valid.attest))).toEqual(['signature-invalid']);
  });

  it.each<[string, Uint8Array, string]>([
    ['Q35 refuses a NULL signature', Uint8Array.of(0x00, 0x10), 'signature-malformed'],
    ['Q36 refuses an HMAC in place of a signature', edited(0, 0x00, 0x05), 'signature-malformed'],
    ['Q37 refuses SHA-1 under a SHA-256 key', edited(2, 0x00, 0x04), 'signature-scheme-mismatch'],
    ['Q38 refuses an unknown hash', edited(2, 0x77, 0x77), 'signature-malformed'],
    [
      'Q39 refuses RSASSA under an ECDSA key',
      Uint8Array.of(0, 0x14, 0, 0x0b, 0, 1, 1),
      'signature-scheme-mismatch',
    ],
    ['Q41 refuses bytes behind the signature', Uint8Array.of(...valid.signature, 0), 'signature-malformed'],
  ])('%s', (_name, signature, code) => {
    expect(codesWith(signature)).toEqual([code]);
  });

  it('Q42 refuses a signature cut off at any byte', () => {
    for (let length = 0; length < valid.signature.length; length += 1)
      expect(codesWith(valid.signature.subarray(0, length))).toEqual(['signature-malformed']);
  });

  it.each([0, 1, 32])('Q43 refuses r = s = 0 in %d bytes', (length) => {
    const zero = new Uint8Array(length);
    const signature = encodeTpmtSignature({ scheme: ALG.ECDSA, hash: SHA256, r: zero, s: zero });
    expect(codesWith(signature)).toEqual(['signature-invalid']);
  });

  it.each([
    [33, 33],
    [33, 32],
    [32, 33],
  ])('Q44 refuses coordinates longer than the curve: r of %d bytes, s of %d', (rBytes, sBytes) => {
    const [r, s] = [new Uint8Array(rBytes), new Uint8Array(sBytes)];
    const signature = encodeTpmtSignature({ scheme: ALG.ECDSA, hash: SHA256, r, s });
    expect(codesWith(signature)).toEqual(['signature-invalid']);
  });

  it.each(['rsassa', 'rsapss', 'p384'] as const)(
    'accepts a %s key and refuses its flipped signature',
    (kind) => {
      const ak = createSoftwareAk(kind);
      const evidence = sealEvidence({ ak, log: BOOT_LOG, pcrs: PCRS });
      const input = validInput({ ak: ak.load(), untrustedEvidence: evidence });
      expect(verifyEvidence(input)).toMatchObject({ verdict: 'accept', reasons: [] });
      const signature = Uint8Array.from(evidence.signature);
      signature[signature.length - 1] = (signature.at(-1) ?? 0) ^ 1;
      const flipped = { ...input, untrustedEvidence: { ...evidence, signature } };
      expect(codesOf(verifyEvidence(flipped))).toEqual(['signature-invalid']);
    },
  );

  it('Q40 refuses PSS by an RSASSA key, and the other way round', () => {
    const [rsassa, rsapss] = [createSoftwareAk('rsassa'), createSoftwareAk('rsapss')];
    for (const [ak, other] of [
      [rsassa, rsapss],
      [rsapss, rsassa],
    ] as const) {
      const evidence = sealEvidence({ ak, log: BOOT_LOG, pcrs: PCRS });
      const signature = other.sign(evidence.attest);
      const input = validInput({ ak: ak.load(), untrustedEvidence: { ...evidence, signature } });
      expect(codesOf(verifyEvidence(input))).toEqual(['signature-scheme-mismatch']);
    }
  });
});

describe('counters and clock', () => {
  const now = { clock: 123_456n, resetCount: 7, restartCount: 2, firmwareVersion: 0x2016_0511_0016_2800n };
  const verdictAfter = (previous: Partial<typeof now>) =>
    verifyEvidence(validInput({ previous: { ...now, ...previous } }));

  it.each([
    ['the same', {}],
    ['a lower resetCount, whatever the rest', { resetCount: 6, restartCount: 9, clock: 999_999_999n }],
    ['a lower restartCount, whatever the clock', { restartCount: 1, clock: 999_999_999n }],
    ['an earlier clock', { clock: 123_455n }],
  ])('accepts after %s', (_name, previous) => {
    expect(verdictAfter(previous)).toMatchObject({ verdict: 'accept', reasons: [] });
  });

  it.each([
    ['Q45 holds a resetCount that went back', { resetCount: 8 }, 'counters-went-back'],
    ['Q46 holds a restartCount that went back', { restartCount: 3 }, 'counters-went-back'],
    [
      'Q47 holds a resetCount that went back while restartCount and clock went on',
      { resetCount: 8, restartCount: 0, clock: 1n },
      'counters-went-back',
    ],
    ['Q48 E26 holds a clock that went back within one power cycle', { clock: 123_457n }, 'clock-went-back'],
    ['Q49 holds a changed firmware version', { firmwareVersion: 1n }, 'firmware-version-changed'],
  ])('%s', (_name, previous, code) => {
    const verdict = verdictAfter(previous);
    expect(verdict.verdict).toBe('hold');
    expect(codesOf(verdict)).toEqual([code]);
  });

  it('Q50 notes an unsafe clock and accepts', () => {
    const clockInfo = { ...now, safe: false };
    const verdict = verifyEvidence(validInput({ untrustedEvidence: seal({ clockInfo }) }));
    expect(verdict).toMatchObject({ verdict: 'accept', notes: [{ code: 'clock-not-safe' }] });
  });

  it('reads 32 and 64 bits as unsigned', () => {
    const clockInfo = {
      clock: (1n << 64n) - 1n,
      resetCount: 0xffff_ffff,
      restartCount: 0xffff_fffe,
      safe: true,
    };
    const verdict = verifyEvidence(validInput({ untrustedEvidence: seal({ clockInfo }) }));
    expect(verdict.quote?.counters).toMatchObject({ clock: (1n << 64n) - 1n, resetCount: 0xffff_ffff });
  });
});

describe('faults of our own', () => {
  const { untrustedEvidence } = validInput();
  it.each<[string, Partial<ReturnType<typeof validInput>>]>([
    ['before the quote is read', { policy: null as never }],
    ['while the quote is checked', { untrustedEvidence: { ...untrustedEvidence, pcrs: null as never } }],
    ['while the log is replayed', { untrustedEvidence: { ...untrustedEvidence, eventLog: null as never } }],
    ['while counters are compared', { previous: null as never }],
  ])('Q55 an exception %s refuses', (_name, changes) => {
    expect(verifyEvidence(validInput(changes))).toMatchObject({
      verdict: 'refuse',
      reasons: [{ code: 'verification-failed' }],
      replayedPcrs: new Map(),
    });
  });

  it('Q56 an invalid signature changes the verdict and gives no quote to build on', () => {
    const verdict = verifyEvidence(
      validInput({ untrustedEvidence: { ...seal({}), signature: createSoftwareAk().sign(EMPTY) } }),
    );
    expect(verdict.verdict).toBe('refuse');
    expect(verdict.quote).toBeUndefined();
  });
});
