import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseClaims } from '../../../src/attestation/evidence/claims.ts';
import { computeExtraData } from '../../../src/attestation/evidence/extra-data.ts';
import { asciiBytes, sha256, toBase64, toHex, utf8Bytes } from '../../../src/core/bytes.ts';

const spki = (namedCurve: string) =>
  generateKeyPairSync('ec', { namedCurve }).publicKey.export({ type: 'spki', format: 'der' });
const ephemeral = spki('P-256');

const valid = {
  purpose: 'boot',
  serverKey: 'aa'.repeat(32),
  ekFingerprint: 'bb'.repeat(32),
  ephemeralKey: toBase64(ephemeral),
  eventLogSha256: 'cc'.repeat(32),
  stage0Build: 7,
};
const parse = (changes: object) => parseClaims(utf8Bytes(JSON.stringify({ ...valid, ...changes })));
const refusal = expect.objectContaining({ code: 'claims-malformed' });

describe('claims', () => {
  it('come back as the values that the node wrote', () => {
    expect(parse({})).toEqual({ ...valid, ephemeralKey: ephemeral });
  });

  it('may name a report, and of health evidence what the checks said', () => {
    const reportSha256 = 'dd'.repeat(32);
    expect(parse({ reportSha256 }).reportSha256).toBe(reportSha256);
    const told = { purpose: 'health', health: 'unhealthy' };
    expect(parse(told)).toMatchObject(told);
  });

  it('may be of build 1', () => {
    expect(parse({ stage0Build: 1 }).stage0Build).toBe(1);
  });

  it.each<[string, object]>([
    ['an unknown purpose', { purpose: 'install' }],
    ['an unknown field', { note: 'x' }],
    ['health in the claims of a boot', { health: 'healthy' }],
    ['a health that is none', { purpose: 'health', health: 'fine' }],
    ['a health that is no word', { purpose: 'health', health: true }],
    ['a report that is no hash', { reportSha256: 'dd' }],
    ['a missing field', { serverKey: undefined }],
    ['a hash in capital letters', { serverKey: 'AA'.repeat(32) }],
    ['a hash that is too short', { ekFingerprint: 'bb' }],
    ['a hash with a digit before it', { serverKey: `0${'aa'.repeat(32)}` }],
    ['a hash with a digit behind it', { serverKey: `${'aa'.repeat(32)}0` }],
    ['a hash in a list', { ekFingerprint: ['bb'.repeat(32)] }],
    ['a build number of 0', { stage0Build: 0 }],
    ['a build number that is a string', { stage0Build: '7' }],
    ['a fractional build number', { stage0Build: 1.5 }],
    ['an ephemeral key that is no base64', { ephemeralKey: '*' }],
    ['an ephemeral key that is a number', { ephemeralKey: 5 }],
    ['an ephemeral key that is no key', { ephemeralKey: toBase64(asciiBytes('no key')) }],
    ['an ephemeral key on another curve', { ephemeralKey: toBase64(spki('P-384')) }],
    [
      'bytes behind the ephemeral key',
      { ephemeralKey: toBase64(Buffer.concat([ephemeral, Buffer.alloc(1)])) },
    ],
  ])('refuses %s', (_name, changes) => {
    expect(() => parse(changes)).toThrow(refusal);
  });

  // Named by the fault: keys are new in each run.
  it.each<[string, object]>([
    ['unknown field "note"', { note: 'x' }],
    ['"purpose" is none that we know', { purpose: 'install' }],
    ['"stage0Build" is not an integer from 1', { stage0Build: 0 }],
    ['"serverKey" is not a SHA-256 in lower-case hex', { serverKey: 5 }],
    ['"ephemeralKey" is not a string', { ephemeralKey: 5 }],
    ['"ephemeralKey" is not a P-256 key', { ephemeralKey: toBase64(spki('P-384')) }],
    [
      '"ephemeralKey" is not in its one canonical form',
      { ephemeralKey: toBase64(Buffer.concat([ephemeral, Buffer.alloc(1)])) },
    ],
  ])('say what is wrong with them: %s', (fault, changes) => {
    expect(() => parse(changes)).toThrow(`claims: ${fault}`);
  });

  it.each([
    ['compressed', 0x3039, (point: Uint8Array) => [2 + ((point[64] ?? 0) & 1), ...point.subarray(1, 33)]],
    ['hybrid', 0x3059, (point: Uint8Array) => [6 + ((point[64] ?? 0) & 1), ...point.subarray(1)]],
  ])('refuse the same ephemeral key with a %s point', (_form, sequence, write) => {
    const point = write(ephemeral.subarray(26));
    const algorithm = ephemeral.subarray(2, 23);
    const key = Buffer.from([sequence >> 8, sequence & 0xff, ...algorithm, 3, point.length + 1, 0, ...point]);
    expect(createPublicKey({ key, format: 'der', type: 'spki' }).asymmetricKeyType).toBe('ec');
    expect(() => parse({ ephemeralKey: toBase64(key) })).toThrow('not in its one canonical form');
  });

  it('have 4096 bytes at most', () => {
    const padded = (length: number) => utf8Bytes(JSON.stringify(valid).padEnd(length));
    expect(parseClaims(padded(4096)).stage0Build).toBe(7);
    expect(() => parseClaims(padded(4097))).toThrow(refusal);
  });

  it.each(['', 'null', '[]', '{"purpose":"boot","purpose":"boot"}', `{"purpose":"${'x'.repeat(5000)}"}`])(
    'refuses what is no such object: %.20s',
    (text) => {
      expect(() => parseClaims(utf8Bytes(text))).toThrow(refusal);
    },
  );
});

describe('extraData', () => {
  it('is the hash over context, hashed challenge and hashed claims', () => {
    const challenge = asciiBytes('challenge');
    const claims = asciiBytes('claims');
    const expected = sha256(asciiBytes('bootward evidence v1\0'), sha256(challenge), sha256(claims));
    expect(toHex(computeExtraData({ challenge, claims }))).toBe(toHex(expected));
    expect(toHex(computeExtraData({ challenge: claims, claims: challenge }))).not.toBe(toHex(expected));
  });
});
