import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EvidenceFields } from '../../../src/attestation/evidence/evidence-fields.ts';
import {
  encodeEvidenceDocument,
  readEvidenceDocument,
  verifyEvidenceDocument,
} from '../../../src/attestation/evidence/evidence-file.ts';
import { MAX_EVIDENCE_BYTES, NotEvidenceError } from '../../../src/attestation/evidence/evidence-json.ts';
import { computeExtraData } from '../../../src/attestation/evidence/extra-data.ts';
import { type EvidencePolicy, verifyEvidence } from '../../../src/attestation/verify.ts';
import { asciiBytes, fromHex, sha256, toBase64, toHex, utf8Bytes } from '../../../src/core/bytes.ts';
import { buildNvCertify, createSoftwareAk, SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { computeName } from '../../../src/tpm/name.ts';
import { encodeTpmsNvPublic, parseTpmsNvPublic } from '../../../src/tpm/nv-public.ts';
import { sized } from '../../../src/tpm/writer.ts';
import { AK, BOOT_LOG, codesOf, EXTRA_DATA, POLICY, pcrsOf, sealEvidence } from '../evidence-fixture.ts';

const FIELDS: EvidenceFields = {
  akPublic: AK.publicBytes,
  expectedExtraData: EXTRA_DATA,
  ...sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG) }),
  policy: POLICY,
  purpose: 'boot',
};
const TEXT = encodeEvidenceDocument(FIELDS);
const ZERO = '00'.repeat(32);
const DOCUMENT: Record<string, unknown> = JSON.parse(TEXT);

const verdictOf = (changes: object) => verifyEvidenceDocument(JSON.stringify({ ...DOCUMENT, ...changes }));
const codesFor = (changes: object) => codesOf(verdictOf(changes));
const without = (field: string) => {
  const { [field]: _left, ...rest } = DOCUMENT;
  return verifyEvidenceDocument(JSON.stringify(rest));
};

describe('an evidence file', () => {
  it('is accepted as the server writes it, with what the log gives', () => {
    const verdict = verifyEvidenceDocument(TEXT);
    expect(verdict).toMatchObject({ verdict: 'accept', reasons: [], notes: [] });
    expect(verdict.replayedPcrs['4']).toBe(toHex(pcrsOf(BOOT_LOG).get(4) ?? new Uint8Array(0)));
    expect(verifyEvidenceDocument(utf8Bytes(TEXT))).toEqual(verdict);
  });

  it('says every field again that it was given', () => {
    const session = { releaseDigest: new Uint8Array(32), resetCount: 1, restartCount: 2 };
    const previous = { clock: 1n, resetCount: 7, restartCount: 2, firmwareVersion: 0x2016_0511_0016_2800n };
    const text = encodeEvidenceDocument({
      ...FIELDS,
      session,
      previous,
      policy: { ...POLICY, referenceValues: [{ pcr: 4, accepted: [pcrsOf(BOOT_LOG).get(4) ?? sha256()] }] },
    });
    expect(verifyEvidenceDocument(text)).toMatchObject({ verdict: 'accept', reasons: [] });
  });

  it.each([
    '',
    ' ',
    'null',
    '[]',
    '5',
    '"x"',
    '{}',
    'not json',
    '{"format":"bootward-evidence-v2"}',
    '{"format":1}',
  ])('is none when it is %j', (text) => {
    expect(() => verifyEvidenceDocument(text)).toThrow(NotEvidenceError);
  });

  it('is none when it is cut off, not UTF-8, or begins with a byte-order mark', () => {
    expect(() => verifyEvidenceDocument(TEXT.slice(0, -1))).toThrow(NotEvidenceError);
    expect(() => verifyEvidenceDocument(Uint8Array.of(0xff, 0xfe))).toThrow(NotEvidenceError);
    expect(() => verifyEvidenceDocument(`\ufeff${TEXT}`)).toThrow(NotEvidenceError);
  });

  it.each([
    ['a key twice', TEXT.replace('{', '{"purpose":"boot",')],
    ['__proto__', TEXT.replace('{', '{"__proto__":{},')],
    ['deep nesting', TEXT.replace('{', `{"floor":${'['.repeat(50)}${']'.repeat(50)},`)],
    ['a lone surrogate', TEXT.replace('{', '{"\\ud800":1,')],
  ])('S9-like: is refused with %s, though a lenient reader would take it', (_name, text) => {
    expect(codesOf(verifyEvidenceDocument(text))).toEqual(['evidence-malformed']);
  });

  it('is refused past a size and an amount of structure, whatever is in it', () => {
    const long = `${TEXT}${' '.repeat(MAX_EVIDENCE_BYTES)}`;
    expect(codesOf(verifyEvidenceDocument(long))).toEqual(['evidence-too-large']);
    expect(codesOf(verifyEvidenceDocument(asciiBytes(long)))).toEqual(['evidence-too-large']);
    expect(() => verifyEvidenceDocument(new Uint8Array(MAX_EVIDENCE_BYTES + 1))).toThrow(NotEvidenceError);
    const objects = `${TEXT.slice(0, -1)},"floor":[${'{},'.repeat(100_000)}{}]}`;
    expect(codesOf(verifyEvidenceDocument(objects))).toEqual(['evidence-too-large']);
    expect(() => verifyEvidenceDocument(`[${'{},'.repeat(100_000)}{}]`)).toThrow(NotEvidenceError);
  });

  it.each<[string, string, string]>([
    ['8192 escapes in one string', `"${'\\\\'.repeat(8192)}"`, 'evidence-malformed'],
    ['8193 escapes in one string', `"${'\\\\'.repeat(8193)}"`, 'evidence-too-large'],
    ['8193 escapes in two strings', `"${'\\n'.repeat(8192)}","${'\\n'}"`, 'evidence-too-large'],
    ['8000 strings', `${'"",'.repeat(7999)}""`, 'evidence-malformed'],
    ['9000 strings', `${'"",'.repeat(8999)}""`, 'evidence-too-large'],
  ])('is read up to a bound of its structure: %s', (_name, strings, code) => {
    expect(codesOf(verifyEvidenceDocument(TEXT.replace('{', `{"comment":[${strings}],`)))).toEqual([code]);
  });

  it.each(['akPublic', 'attest', 'signature', 'expectedExtraData', 'pcrs', 'policy'])(
    'is refused without %s',
    (field) => {
      expect(codesOf(without(field))).toEqual(['evidence-malformed']);
    },
  );

  it.each<[string, object]>([
    ['an unknown field', { comment: 'x' }],
    ['hex in capital letters', { attest: 'FF' }],
    ['hex with an odd digit', { signature: 'f' }],
    ['a number in place of hex', { akPublic: 5 }],
    ['base64 without padding', { eventLog: 'AAA' }],
    ['base64 that is null', { eventLog: null }],
    ['PCRs that are a list', { pcrs: [] }],
    ['PCRs of an unknown bank', { pcrs: { md5: {} } }],
    ['a bank that is null', { pcrs: { sha256: null } }],
    ['PCR 24', { pcrs: { sha256: { 24: '00'.repeat(32) } } }],
    ['PCR 01', { pcrs: { sha256: { '01': '00'.repeat(32) } } }],
    ['PCR -1', { pcrs: { sha256: { '-1': '00'.repeat(32) } } }],
    ['a PCR value of another length', { pcrs: { sha256: { 0: '00' } } }],
    ['an unknown purpose', { purpose: 'install' }],
    ['a policy that is null', { policy: null }],
    ['a policy without a bank', { policy: { pcrs: [0], eventLog: 'required' } }],
    ['a bank that is a number', { policy: { bank: 5, pcrs: [0], eventLog: 'required' } }],
    ['no PCRs in the policy', { policy: { bank: 'sha256', pcrs: [], eventLog: 'required' } }],
    ['a PCR twice in the policy', { policy: { bank: 'sha256', pcrs: [0, 0], eventLog: 'required' } }],
    ['PCR 24 in the policy', { policy: { bank: 'sha256', pcrs: [24], eventLog: 'required' } }],
    ['an unknown log rule', { policy: { bank: 'sha256', pcrs: [0], eventLog: 'never' } }],
    [
      'reference values that are no list',
      { policy: { bank: 'sha256', pcrs: [0], eventLog: 'required', expected: { 0: 'x' } } },
    ],
    [
      'reference values of a bank that is none',
      { policy: { bank: 'md5', pcrs: [0], eventLog: 'required', expected: { 0: ['00'] } } },
    ],
    [
      'reference values of another bank',
      { policy: { bank: 'sha256', pcrs: [0], eventLog: 'required', expected: { 0: ['00'] } } },
    ],
    ['Q4 an expected extraData that proves no freshness', { expectedExtraData: '00' }],
    ['Q4 an empty expected extraData', { expectedExtraData: '' }],
    ['an expected extraData longer than any', { expectedExtraData: '00'.repeat(65) }],
    ['claims without a challenge', { claims: 'AAAA' }],
    ['a challenge without claims', { challenge: 'AAAA' }],
    ['a session without counters', { session: { releaseDigest: '00'.repeat(32) } }],
    [
      'a release digest that is too short',
      { session: { releaseDigest: '00', resetCount: 1, restartCount: 1 } },
    ],
    [
      'a counter past 32 bits',
      { session: { releaseDigest: '00'.repeat(32), resetCount: 2 ** 32, restartCount: 1 } },
    ],
    ['a negative counter', { session: { releaseDigest: '00'.repeat(32), resetCount: -1, restartCount: 1 } }],
    [
      'a clock that is no number',
      { previous: { clock: '0x1', resetCount: 1, restartCount: 1, firmwareVersion: 1 } },
    ],
    [
      'a clock past 64 bits',
      { previous: { clock: '99999999999999999999', resetCount: 1, restartCount: 1, firmwareVersion: 1 } },
    ],
    ['a floor without its parts', { floor: {} }],
    ['an unknown field of the policy', { policy: { ...POLICY, referenceValues: undefined, extra: 1 } }],
  ])('is refused with %s', (_name, changes) => {
    expect(codesFor(changes)).toEqual(['evidence-malformed']);
  });

  it('says all 64 bits of clock and firmware version, as digits or as a string', () => {
    const previous = (clock: string) =>
      TEXT.replace(
        '{',
        `{"previous":{"clock":${clock},"resetCount":7,"restartCount":2,"firmwareVersion":2312041029275363328},`,
      );
    expect(verifyEvidenceDocument(previous('18446744073709551615'))).toMatchObject({
      verdict: 'hold',
      reasons: [{ code: 'clock-went-back', message: expect.stringContaining('18446744073709551615') }],
    });
    expect(verifyEvidenceDocument(previous('"18446744073709551615"')).verdict).toBe('hold');
    expect(verifyEvidenceDocument(previous('1')).verdict).toBe('accept');
    for (const wrong of ['18446744073709551616', '-18446744073709551615', '1e20', '1.5'])
      expect(codesOf(verifyEvidenceDocument(previous(wrong)))).toEqual(['evidence-malformed']);
  });

  it('needs no reference values in its policy', () => {
    const { bank, pcrs, eventLog } = POLICY;
    expect(codesFor({ policy: { bank, pcrs, eventLog } })).toEqual([]);
  });

  it('says every rule of its policy again that it was given', () => {
    const zero = '00'.repeat(32);
    const policy: EvidencePolicy = {
      ...POLICY,
      stage0: [
        { pcr4: [fromHex(zero), fromHex('44'.repeat(32))], pcr11: [fromHex('11'.repeat(32))] },
        { pcr4: [fromHex(zero)], pcr11: [fromHex(zero)] },
      ],
      unloggedPcrs: [8, 9],
      firmware: { pcrs: [0, 2], accepted: [{ 0: zero, 2: 'ff'.repeat(32) }] },
      secureBoot: { db: [zero] },
    };
    const read = (changed: EvidencePolicy) =>
      readEvidenceDocument(encodeEvidenceDocument({ ...FIELDS, policy: changed })).policy;
    expect(read(policy)).toEqual(policy);
    expect(read({ ...policy, secureBoot: { db: 'any' } }).secureBoot).toEqual({ db: 'any' });
    expect(read({ ...policy, stage0: [] }).stage0).toEqual([]);
    expect(read({ ...policy, unloggedPcrs: [] })).not.toHaveProperty('unloggedPcrs');
  });

  it.each([4, 11])('is refused when its policy names a stage-0 and PCR %i is not quoted', (pcr) => {
    const pcrs = POLICY.pcrs.filter((quoted) => quoted !== pcr);
    const text = encodeEvidenceDocument({
      ...FIELDS,
      ...sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG, { pcrs }) }),
      policy: { ...POLICY, pcrs, stage0: [] },
    });
    expect(verifyEvidenceDocument(text).reasons).toContainEqual({
      code: 'reference-unusable',
      message: `PCR ${pcr}: policy refers to it, but it is not quoted`,
    });
  });

  it.each<[string, object]>([
    ['a stage-0 that is no list', { stage0: {} }],
    ['a stage-0 that is a list of lists', { stage0: [[]] }],
    ['a stage-0 without PCR 4', { stage0: [{ 11: [ZERO] }] }],
    ['a stage-0 without PCR 11', { stage0: [{ 4: [ZERO] }] }],
    ['a stage-0 with another PCR', { stage0: [{ 4: [ZERO], 11: [ZERO], 12: [ZERO] }] }],
    ['a stage-0 that says it keeps a floor', { stage0: [{ 4: [ZERO], 11: [ZERO], floor: true }] }],
    ['a stage-0 with a value that is no list', { stage0: [{ 4: ZERO, 11: [ZERO] }] }],
    ['a stage-0 with no value', { stage0: [{ 4: [ZERO], 11: [] }] }],
    ['a stage-0 of another bank', { stage0: [{ 4: ['00'], 11: [ZERO] }] }],
    ['a stage-0 in capital letters', { stage0: [{ 4: ['AA'.repeat(32)], 11: [ZERO] }] }],
    ['PCRs without a log that are none', { unlogged: [24] }],
    ['firmware without its PCRs', { firmware: { accepted: [] } }],
    ['firmware without accepted values', { firmware: { pcrs: [0] } }],
    ['accepted firmware that is no list', { firmware: { pcrs: [0], accepted: {} } }],
    ['accepted firmware that is a list of lists', { firmware: { pcrs: [0], accepted: [[]] } }],
    ['firmware in a PCR that is none', { firmware: { pcrs: [0], accepted: [{ 24: '00'.repeat(32) }] } }],
    ['firmware of another bank', { firmware: { pcrs: [0], accepted: [{ 0: '00' }] } }],
    ['Secure Boot without its db', { secureBoot: {} }],
    ['a db that is a word', { secureBoot: { db: 'all' } }],
    ['an empty db', { secureBoot: { db: [] } }],
    ['a db of something else than SHA-256', { secureBoot: { db: ['00'] } }],
    ['a db of numbers', { secureBoot: { db: [5] } }],
  ])('is refused with %s', (_name, rules) => {
    const { bank, pcrs, eventLog } = POLICY;
    expect(codesFor({ policy: { bank, pcrs, eventLog, ...rules } })).toEqual(['evidence-malformed']);
  });

  it('E13 is refused for a key that is no attestation key', () => {
    expect(codesFor({ akPublic: '00' })).toEqual(['ak-malformed']);
    const weak = createSoftwareAk('p256', { attributes: 0 });
    expect(codesFor({ akPublic: toHex(weak.publicBytes) })).toEqual(['ak-not-restricted']);
  });
});

describe('challenge and claims in an evidence file', () => {
  const akName = toHex(computeName(AK.load().publicArea));
  const jws = (payload: object) =>
    asciiBytes(`x.${Buffer.from(JSON.stringify(payload)).toString('base64url')}.y`);
  const bound = (challenge: Uint8Array, claims: Uint8Array) => {
    const extraData = computeExtraData({ challenge, claims });
    const evidence = sealEvidence({ log: BOOT_LOG, pcrs: pcrsOf(BOOT_LOG), extraData });
    return { ...FIELDS, ...evidence, expectedExtraData: extraData, binding: { challenge, claims } };
  };
  const codesBound = (challenge: object, claims: object) =>
    codesOf(
      verifyEvidenceDocument(
        encodeEvidenceDocument(bound(jws(challenge), utf8Bytes(JSON.stringify(claims)))),
      ),
    );

  it('are accepted when they give the expected extraData', () => {
    const eventLogSha256 = toHex(sha256(BOOT_LOG));
    expect(codesBound({ purpose: 'boot', akName }, { purpose: 'boot', eventLogSha256 })).toEqual([]);
  });

  it('are bound, and noted as unread, when they are anything else', () => {
    const text = encodeEvidenceDocument(bound(asciiBytes('any bytes'), Uint8Array.of(0xff)));
    const verdict = verifyEvidenceDocument(text);
    expect(verdict.verdict).toBe('accept');
    expect(verdict.notes.map(({ code }) => code)).toEqual(['challenge-signature-unchecked', 'claims-unread']);
  });

  it('Q7 are refused when one byte of them changed', () => {
    const fields = bound(asciiBytes('challenge'), asciiBytes('claims'));
    const changed = { challenge: asciiBytes('challenge'), claims: asciiBytes('claimS') };
    const text = encodeEvidenceDocument({ ...fields, binding: changed });
    expect(codesOf(verifyEvidenceDocument(text))).toEqual(['extra-data-mismatch']);
  });

  it('P4 are refused when they name another purpose than the document', () => {
    expect(codesBound({ purpose: 'enrol' }, {})).toEqual(['purpose-mismatch']);
    expect(codesBound({}, { purpose: 'health' })).toEqual(['purpose-mismatch']);
  });

  it('P4 bring their purpose and its PCR 14 rule where the document names none', () => {
    const { purpose: _, ...nameless } = bound(jws({ purpose: 'health', akName }), utf8Bytes('{}'));
    expect(codesOf(verifyEvidenceDocument(encodeEvidenceDocument(nameless)))).toEqual(['session-missing']);
  });

  it('Q2 are refused when the challenge was for another key', () => {
    expect(codesBound({ akName: `000b${'00'.repeat(32)}` }, {})).toEqual(['ak-mismatch']);
  });

  it('Q54 are refused when the claims name another event log', () => {
    expect(codesBound({}, { eventLogSha256: toHex(sha256(asciiBytes('another'))) })).toEqual([
      'claims-event-log-mismatch',
    ]);
  });

  it.each<[string, Uint8Array, string[]]>([
    [
      'Q54 are refused when the claims name an event log and none came',
      BOOT_LOG,
      ['claims-event-log-mismatch'],
    ],
    ['are accepted without an event log when the claims name none', new Uint8Array(0), []],
  ])('%s', (_name, named, codes) => {
    const claims = utf8Bytes(JSON.stringify({ purpose: 'boot', eventLogSha256: toHex(sha256(named)) }));
    const { eventLog: _log, ...logless } = bound(jws({ purpose: 'boot', akName }), claims);
    const text = encodeEvidenceDocument({ ...logless, policy: { ...POLICY, eventLog: 'optional' } });
    expect(codesOf(verifyEvidenceDocument(text))).toEqual(codes);
  });

  const AGREEING_CLAIMS = '{"purpose":"boot"}';
  const reasonsOn = (challenge: Uint8Array, claims: string) =>
    verifyEvidenceDocument(encodeEvidenceDocument(bound(challenge, utf8Bytes(claims)))).reasons;
  const padded = JSON.stringify({ purpose: 'boot', pad: 'x'.repeat(70_000) });

  it.each<[string, string, string]>([
    ['a key twice', '{"purpose":"boot","purpose":"reattest"}', 'key "purpose" appears twice'],
    ['a key twice that agrees', '{"purpose":"boot","purpose":"boot"}', 'key "purpose" appears twice'],
    ['a byte-order mark', '\ufeff{"purpose":"reattest"}', 'expected a value (at character 0)'],
    ['white space and a byte-order mark', '\r\n\t \ufeff{}', 'expected a value (at character 4)'],
    ['70 KB', padded, 'the document has 70027 bytes, at most 4096 are read'],
    ['an end that is missing', '{"purpose":"reattest"', 'expected "," or "}"'],
    ['more after the end', '{"purpose":"boot"}{}', 'more text after the value'],
    ['an unknown purpose', '{"purpose":"BOOT"}', '"purpose" is not what the protocol defines'],
    ['a purpose that is a list', '{"purpose":["boot"]}', '"purpose" is not what the protocol defines'],
    ['a purpose that is null', '{"purpose":null}', '"purpose" is not what the protocol defines'],
    [
      'a number for the event log',
      '{"purpose":"boot","eventLogSha256":7}',
      '"eventLogSha256" is not what the protocol defines',
    ],
    ['a server key that is a list', '{"serverKey":[]}', '"serverKey" is not what the protocol defines'],
    ['an EK that is true', '{"ekFingerprint":true}', '"ekFingerprint" is not what the protocol defines'],
    ['a key that is an object', '{"ephemeralKey":{}}', '"ephemeralKey" is not what the protocol defines'],
    ['a build that is text', '{"stage0Build":"41"}', '"stage0Build" is not what the protocol defines'],
  ])('P4 Q54 are refused when the claims have %s', (_name, claims, why) => {
    expect(reasonsOn(jws({ purpose: 'boot' }), claims)).toEqual([
      { code: 'claims-malformed', message: expect.stringContaining(`claims: ${why}`) },
    ]);
  });

  const base64 = (text: string) => Buffer.from(text).toString('base64');
  const rawJws = (payload: string) => asciiBytes(`x.${Buffer.from(payload).toString('base64url')}.y`);
  it.each<[string, Uint8Array, string]>([
    [
      'a key twice',
      rawJws('{"akName":"00","akName":"00","purpose":"reattest"}'),
      'key "akName" appears twice',
    ],
    ['a byte-order mark', rawJws('\ufeff{"akName":"00"}'), 'expected a value (at character 0)'],
    ['70 KB', rawJws(padded), 'the document has 70027 bytes, at most 65536 are read'],
    [
      'padding',
      asciiBytes(`x.${base64('{"akName":"00"}  ')}.y`),
      'expected a payload in canonical base64url without padding',
    ],
    [
      'pad bits',
      asciiBytes(`x.${base64('{"akName":"00"} ').replace('IA==', 'IB')}.y`),
      'expected a payload in canonical base64url without padding',
    ],
    ['a fourth part', asciiBytes(`x.${base64('{"akName":"00"}')}.y.z`), 'expected the three parts'],
    ['no third part', asciiBytes(`x.${base64('{"akName":"00"}')}`), 'expected the three parts'],
    ['a number for the key', rawJws('{"akName":5}'), '"akName" is not what the protocol defines'],
    ['a purpose that is a list', rawJws('{"purpose":["boot"]}'), '"purpose" is not what the protocol'],
    ['PCRs that are a text', rawJws('{"pcrs":"0"}'), '"pcrs" is not what the protocol defines'],
    ['no signature, and a key twice', utf8Bytes('{"akName":"00","akName":"00"}'), 'key "akName" appears'],
  ])('P4 Q2 are refused when the challenge has %s', (_name, challenge, why) => {
    expect(reasonsOn(challenge, AGREEING_CLAIMS)).toEqual([
      { code: 'challenge-unknown', message: expect.stringContaining(`challenge: ${why}`) },
    ]);
  });

  it('Q2 hold a challenge without a signature against the rest too', () => {
    expect(codesOf({ reasons: reasonsOn(utf8Bytes('{"akName":"00"}'), AGREEING_CLAIMS) })).toEqual([
      'ak-mismatch',
    ]);
  });

  it('P4 are refused for what they are and for what else is wrong', () => {
    const { purpose: _, ...nameless } = bound(jws({ purpose: 'health' }), utf8Bytes('{'));
    expect(codesOf(verifyEvidenceDocument(encodeEvidenceDocument(nameless)))).toEqual([
      'claims-malformed',
      'session-missing',
    ]);
  });

  it.each<[string, string]>([
    ['empty', ''],
    ['a list', '[{"purpose":"enrol"}]'],
    ['a text', '"enrol"'],
    ['70 KB of anything', 'x'.repeat(70_000)],
    ['an object of others', '{"nonce":"x","measurements":[{"a":1}]}'],
    ['in part those of the protocol', AGREEING_CLAIMS],
  ])('are bound, and noted as unread, when the claims are %s', (_name, claims) => {
    const text = encodeEvidenceDocument(bound(jws({ purpose: 'boot' }), utf8Bytes(claims)));
    const { verdict, notes } = verifyEvidenceDocument(text);
    expect([verdict, ...notes.map(({ code }) => code)]).toEqual([
      'accept',
      'challenge-signature-unchecked',
      'claims-unread',
    ]);
  });

  it.each([
    ['holds a list', Buffer.from('[{"purpose":"enrol"}]').toString('base64url')],
    ['is no base64url', '!'],
    ['is no JSON', 'AAAA'],
  ])('are bound and unread when the payload of the challenge %s', (_name, payload) => {
    const text = encodeEvidenceDocument(bound(asciiBytes(`x.${payload}.y`), utf8Bytes('[]')));
    expect(verifyEvidenceDocument(text)).toMatchObject({ verdict: 'accept', reasons: [] });
  });
});

describe('a floor record in an evidence file', () => {
  const WRITTEN = 1 << 29;
  const contents = new Uint8Array(64).fill(0x11);
  const nvPublicOf = (attributes: number) =>
    encodeTpmsNvPublic({
      nvIndex: 0x0150_0020,
      nameAlg: SHA256,
      attributes,
      authPolicy: new Uint8Array(32),
      dataSize: 64,
    });
  const nvPublic = nvPublicOf(WRITTEN);
  const indexName = computeName(parseTpmsNvPublic(nvPublic));

  function floorWith(
    changes: { attest?: object; certifier?: typeof AK; nvPublic?: Uint8Array; contents?: Uint8Array } = {},
  ) {
    const attest = buildNvCertify({
      extraData: EXTRA_DATA,
      indexName,
      contents,
      changes: changes.attest ?? {},
    });
    return {
      nvPublic: changes.nvPublic ?? nvPublic,
      attest,
      signature: (changes.certifier ?? AK).sign(attest),
      contents: changes.contents ?? contents,
    };
  }
  const codesOn = (floor: ReturnType<typeof floorWith>) =>
    codesOf(verifyEvidenceDocument(encodeEvidenceDocument({ ...FIELDS, floor })));

  const sentenceOn = (floor: ReturnType<typeof floorWith>) =>
    verifyEvidenceDocument(encodeEvidenceDocument({ ...FIELDS, floor })).reasons[0]?.message;

  it('is accepted when the AK certified it for this challenge', () => {
    expect(codesOn(floorWith())).toEqual([]);
    expect(codesOn(floorWith({ nvPublic: sized(nvPublic) }))).toEqual([]);
  });

  const clockInfo = { clock: 1n, resetCount: 6, restartCount: 2, safe: true };
  it.each<[string, () => ReturnType<typeof floorWith>, string]>([
    ['by another AK', () => floorWith({ certifier: createSoftwareAk() }), 'floor-signature-invalid'],
    ['at another resetCount', () => floorWith({ attest: { clockInfo } }), 'floor-session-mismatch'],
    [
      'of another index',
      () => floorWith({ attest: { indexName: new Uint8Array(34) } }),
      'floor-index-mismatch',
    ],
    [
      'for another challenge',
      () => floorWith({ attest: { extraData: new Uint8Array(32) } }),
      'floor-extra-data-mismatch',
    ],
    ['with other contents', () => floorWith({ contents: new Uint8Array(64) }), 'floor-contents-mismatch'],
    ['of a part of the record', () => floorWith({ attest: { offset: 1 } }), 'floor-contents-mismatch'],
    ['with an unreadable index', () => floorWith({ nvPublic: Uint8Array.of(1) }), 'floor-malformed'],
    ['with no index at all', () => floorWith({ nvPublic: new Uint8Array(0) }), 'floor-malformed'],
    [
      'at another restartCount',
      () => floorWith({ attest: { clockInfo: { ...clockInfo, resetCount: 7, restartCount: 3 } } }),
      'floor-session-mismatch',
    ],
    [
      'of less than the whole index',
      () => floorWith({ attest: { contents: contents.subarray(1) }, contents: contents.subarray(1) }),
      'floor-contents-mismatch',
    ],
  ])('P7 is refused when certified %s', (_name, floor, code) => {
    expect(codesOn(floor())).toEqual([code]);
  });

  it('P7 is refused when the index was never written', () => {
    const unwritten = nvPublicOf(0);
    const attest = { indexName: computeName(parseTpmsNvPublic(unwritten)) };
    expect(codesOn(floorWith({ nvPublic: unwritten, attest }))).toEqual(['floor-index-mismatch']);
    expect(sentenceOn(floorWith({ nvPublic: unwritten, attest }))).toBe(
      'floor: the NV index was never written',
    );
  });

  it.each<[Parameters<typeof floorWith>[0], RegExp]>([
    [
      { attest: { extraData: new Uint8Array(32) } },
      /^floor: certified for extraData 000000000000\.\.\., expected [0-9a-f]{12}\.\.\.$/,
    ],
    [
      { attest: { indexName: new Uint8Array(34) } },
      /^floor: NV index 000b[0-9a-f]{8}\.\.\. came, certified was 000000000000\.\.\.$/,
    ],
    [
      { contents: new Uint8Array(5) },
      /^floor: 5 bytes came, which are not the 64 bytes of the index that had to be certified$/,
    ],
    [{ attest: { clockInfo } }, /^floor: certified at TPM counters \(6, 2\), the quote is of \(7, 2\)$/],
    [{ certifier: createSoftwareAk() }, /^floor: signature: not made by attestation key 000b[0-9a-f]{64}$/],
    [{ nvPublic: new Uint8Array(0) }, /^floor: TPMS_NV_PUBLIC: 4 bytes wanted at offset 0, 0 left$/],
  ])('P7 %# says what was expected and what came', (changes, sentence) => {
    expect(sentenceOn(floorWith(changes))).toMatch(sentence);
  });

  it('Q55 refuses when an exception comes in the middle of it', () => {
    const { akPublic: _key, policy, purpose: _purpose, ...untrustedEvidence } = FIELDS;
    const floor = { ...floorWith(), contents: null as never };
    const input = { ak: AK.load(), expectedExtraData: EXTRA_DATA, policy };
    expect(verifyEvidence({ ...input, untrustedEvidence: { ...untrustedEvidence, floor } })).toMatchObject({
      verdict: 'refuse',
      reasons: [{ code: 'verification-failed' }],
    });
  });

  it('P7 is refused beside what else is wrong, and hides none of it', () => {
    const floor = floorWith({ contents: new Uint8Array(64) });
    const previous = { clock: 1n, resetCount: 8, restartCount: 2, firmwareVersion: 0x2016_0511_0016_2800n };
    const text = encodeEvidenceDocument({ ...FIELDS, floor, previous });
    expect(codesOf(verifyEvidenceDocument(text))).toEqual(['counters-went-back', 'floor-contents-mismatch']);
  });

  it('P7 is refused when a quote stands in its place', () => {
    const { attest, signature } = sealEvidence({ pcrs: pcrsOf(BOOT_LOG) });
    expect(codesOn({ ...floorWith(), attest, signature })).toEqual(['floor-malformed']);
  });
});

describe('whatever the bytes', () => {
  it('Q55 a fault of our own refuses', () => {
    expect(verifyEvidenceDocument(null as never)).toMatchObject({
      verdict: 'refuse',
      reasons: [{ code: 'verification-failed' }],
      replayedPcrs: {},
    });
  });

  it('a verdict or NotEvidenceError comes back', () => {
    const anything = fc.oneof(fc.json(), fc.string(), fc.uint8Array({ maxLength: 64 }));
    fc.assert(
      fc.property(anything, (input) => {
        try {
          expect(['accept', 'refuse', 'hold']).toContain(verifyEvidenceDocument(input).verdict);
        } catch (cause) {
          expect(cause).toBeInstanceOf(NotEvidenceError);
        }
      }),
      { numRuns: 300 },
    );
  });

  it('any value in any field is judged, and accepted only when nothing changed', () => {
    const fields = fc.constantFrom(...Object.keys(DOCUMENT).filter((field) => field !== 'format'));
    fc.assert(
      fc.property(fields, fc.jsonValue(), (field, value) => {
        const codes = codesFor({ [field]: value });
        expect(codes).not.toEqual([]);
        expect(codes).not.toContain('verification-failed');
      }),
      { numRuns: 300 },
    );
  });

  it('any flipped byte of the binary parts is refused', () => {
    const parts = ['akPublic', 'attest', 'signature', 'expectedExtraData'] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...parts),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        (part, offset, mask) => {
          const bytes = Uint8Array.from(FIELDS[part]);
          const at = offset % bytes.length;
          bytes[at] = (bytes[at] ?? 0) ^ mask;
          const verdict = verifyEvidenceDocument(encodeEvidenceDocument({ ...FIELDS, [part]: bytes }));
          const keptKey = part === 'akPublic' && verdict.verdict === 'accept';
          // Name algorithm and attributes: whoever keeps the file vouches for them, and the key stays the same.
          if (keptKey) expect(at).toBeGreaterThanOrEqual(2);
          else expect(verdict.verdict).toBe('refuse');
          expect(codesOf(verdict)).not.toContain('verification-failed');
        },
      ),
      { numRuns: 400 },
    );
  });

  it('any flipped byte of the event log is judged without a fault of ours', () => {
    fc.assert(
      fc.property(fc.nat(BOOT_LOG.length - 1), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bytes = Uint8Array.from(BOOT_LOG);
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        expect(codesFor({ eventLog: toBase64(bytes) })).not.toContain('verification-failed');
      }),
      { numRuns: 400 },
    );
  });
});
