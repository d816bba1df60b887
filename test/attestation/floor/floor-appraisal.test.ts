import { describe, expect, it } from 'vitest';
import {
  type Appraisal,
  type AppraisalInput,
  evidenceDocumentOf,
} from '../../../src/attestation/appraisal.ts';
import { verifyEvidenceDocument } from '../../../src/attestation/evidence/evidence-file.ts';
import { computeExtraData } from '../../../src/attestation/evidence/extra-data.ts';
import { channelHashOf } from '../../../src/attestation/floor/floor-record.ts';
import { asciiBytes, sha256, toHex, utf8Bytes } from '../../../src/core/bytes.ts';
import { CLOCK_INFO } from '../../../src/fleet-sim/chip/software-ak.ts';
import {
  appraisalInput,
  type Changes,
  decide,
  NEXT_STAGE0,
  NOW,
  reasonsIn,
  runningInput,
  SESSION,
  STAGE0,
} from '../appraisal-fixture.ts';
import { CHANNEL, certifyFloor, createFloorKey, FLOOR_KEY, RECORD, VERSIONS } from './floor-fixture.ts';

type Shown = Omit<Parameters<typeof certifyFloor>[0], 'extraData'>;

const APPROVED = { floorApprovals: { secureBoot: 'aa', noSecureBoot: 'bb' } };
const KEEPING = [NEXT_STAGE0, { ...STAGE0, ...APPROVED, floorKey: FLOOR_KEY.floorKey }];
const SERVER = { channel: CHANNEL, publishedFloor: VERSIONS, stage0References: KEEPING };
const KNOWN = { floor: RECORD, floorExpected: true };

function showing(input: AppraisalInput, shown: Shown): AppraisalInput {
  const { challenge, untrustedClaims: claims, untrustedEvidence } = input;
  const extraData = computeExtraData({ challenge: asciiBytes(challenge), claims });
  return {
    ...input,
    untrustedEvidence: { ...untrustedEvidence, floor: certifyFloor({ extraData, ...shown }) },
  };
}
const bootOf = (changes: Changes = {}) => appraisalInput({ ...SERVER, ...changes });
const booting = (shown: Shown = {}, changes: Changes = {}) => showing(bootOf(changes), shown);
const healthOf = (changes: Changes = {}) => runningInput({ ...SERVER, purpose: 'health', ...changes });
const running = (shown: Shown = {}, changes: Changes = {}) =>
  showing(healthOf(changes), { form: 'locked', ...shown });

/** Decided here and from the file that is kept, which must say the same of the floor. */
function verdictOn(input: AppraisalInput): Appraisal {
  const appraisal = decide(input);
  const offline = verifyEvidenceDocument(evidenceDocumentOf(input));
  const floorCodes = (of: { reasons: readonly { code: string }[] }) =>
    of.reasons.map(({ code }) => code).filter((code) => code.startsWith('floor-'));
  expect(floorCodes(offline)).toEqual(floorCodes(appraisal));
  expect(offline.verdict).toBe(appraisal.verdict);
  return appraisal;
}

describe('a floor record in a boot', () => {
  it('is what the accepted evidence shows', () => {
    expect(verdictOn(booting())).toMatchObject({ verdict: 'accept', accepted: { floor: RECORD } });
    const raised = { ...RECORD, snapshot: 39 };
    const known = { attester: { floor: { ...RECORD, snapshot: 38 } } };
    expect(verdictOn(booting({ record: raised }, known)).accepted?.floor).toEqual(raised);
  });

  it('may be missing while none was seen, also when a boot was granted that never wrote it', () => {
    expect(verdictOn(bootOf())).toMatchObject({ verdict: 'accept' });
    expect(verdictOn(bootOf({ attester: { floorExpected: true } })).verdict).toBe('accept');
  });

  it('P8 is missing when it was deleted, or the TPM was cleared: held, never floor zero', () => {
    const appraisal = verdictOn(bootOf({ attester: KNOWN }));
    expect(appraisal).toMatchObject({ verdict: 'hold', authentic: true });
    expect(reasonsIn(appraisal)).toEqual(['floor-missing']);
  });

  it.each<[string, Shown]>([
    ['that another key may write', { floorKey: createFloorKey().floorKey }],
    ['that was never written', { form: 'unwritten' }],
    ['that is locked before stage-0 raised it', { form: 'locked' }],
  ])('P7 P8 is refused of an index %s', (_name, shown) => {
    expect(reasonsIn(verdictOn(booting(shown, { attester: KNOWN })))).toEqual(['floor-index-mismatch']);
  });

  it('P8 counts for nothing where no listed stage-0 keeps a floor: there is no Name to pin', () => {
    const bare = { stage0References: [NEXT_STAGE0, STAGE0] };
    const appraisal = verdictOn(booting({}, bare));
    expect(appraisal.verdict).toBe('accept');
    expect(appraisal.accepted?.floor).toBeUndefined();
    expect(new Set(reasonsIn(verdictOn(booting({}, { ...bare, attester: KNOWN }))))).toEqual(
      new Set(['floor-missing']),
    );
  });

  it('P8 is held where a listed stage-0 would not look at it, with a record or without', () => {
    const stage0References = [{ ...NEXT_STAGE0, ...APPROVED, floorKey: FLOOR_KEY.floorKey }, STAGE0];
    const input = booting({}, { stage0References, attester: KNOWN });
    const appraisal = verdictOn(input);
    expect(appraisal).toMatchObject({ verdict: 'hold', authentic: true });
    expect(appraisal.reasons).toEqual([
      {
        code: 'floor-missing',
        message: expect.stringMatching(/^stage-0 is x86-64 build 41, which keeps no floor, .*reset-floor$/),
      },
    ]);
    expect(new Set(reasonsIn(verdictOn(bootOf({ stage0References, attester: KNOWN }))))).toEqual(
      new Set(['floor-missing']),
    );
    expect(verdictOn(booting({}, { stage0References })).verdict).toBe('accept');
  });

  it('P8 may be missing in three boots after the one that could write it first, and then in none', () => {
    const { resetCount } = CLOCK_INFO;
    const bootAfter = (floorMissed: number, session = { ...SESSION, resetCount: resetCount - 1 }) =>
      verdictOn(bootOf({ attester: { floorExpected: true, floorMissed, session } }));
    expect(bootAfter(3).verdict).toBe('accept');
    expect(bootAfter(4)).toMatchObject({ verdict: 'hold', authentic: true });
    expect(reasonsIn(bootAfter(4))).toEqual(['floor-missing']);
    expect(bootAfter(4, { ...SESSION, resetCount }).verdict).toBe('accept');
    const shown = booting({}, { attester: { floorExpected: true, floorMissed: 4 } });
    expect(verdictOn(shown).verdict).toBe('accept');
  });

  it('counts under the key of a build that is withdrawn', () => {
    const second = createFloorKey().floorKey;
    const stage0References = [...KEEPING, { ...NEXT_STAGE0, listed: false, floorKey: second }];
    const changes = { stage0References, attester: KNOWN };
    expect(verdictOn(booting({ floorKey: second }, changes)).verdict).toBe('accept');
  });

  it('counts under each of two keys while both are listed', () => {
    const second = createFloorKey().floorKey;
    const stage0References = [{ ...NEXT_STAGE0, floorKey: second }, ...KEEPING.slice(1)];
    for (const floorKey of [second, FLOOR_KEY.floorKey])
      expect(verdictOn(booting({ floorKey }, { stage0References })).verdict).toBe('accept');
  });

  it('R1 R3 is held when it shows less than was seen', () => {
    const appraisal = verdictOn(booting({ record: { ...RECORD, channel: 4 } }, { attester: KNOWN }));
    expect(appraisal.verdict).toBe('hold');
    expect(reasonsIn(appraisal)).toEqual(['floor-went-back']);
  });

  it('R4 is held when the server publishes less than the node has seen', () => {
    const behind = { publishedFloor: { ...VERSIONS, snapshot: 39 } };
    const appraisal = verdictOn(booting({}, behind));
    expect(appraisal.verdict).toBe('hold');
    expect(reasonsIn(appraisal)).toEqual(['floor-ahead']);
  });

  it('R9 is held when the server has an older root in force than the node', () => {
    expect(reasonsIn(verdictOn(booting({}, { publishedFloor: { ...VERSIONS, root: 1 } })))).toEqual([
      'floor-ahead',
    ]);
  });

  it('P13 is held when it is of another channel', () => {
    const appraisal = verdictOn(booting({ record: { ...RECORD, channelHash: channelHashOf('lab') } }));
    expect(reasonsIn(appraisal)).toEqual(['floor-other-channel']);
  });

  it('is refused when it is no record, whoever certified it', () => {
    const input = booting();
    const { floor } = input.untrustedEvidence;
    const contents = new Uint8Array(64);
    expect(
      reasonsIn(
        decide({
          ...input,
          untrustedEvidence: { ...input.untrustedEvidence, ...(floor && { floor: { ...floor, contents } }) },
        }),
      ),
    ).toEqual(['floor-contents-mismatch']);
  });
});

describe('a floor record of a running system', () => {
  it('is accepted locked', () => {
    const appraisal = verdictOn(running({}, { attester: { session: SESSION, ...KNOWN } }));
    expect(appraisal).toMatchObject({ verdict: 'accept', accepted: { floor: RECORD, health: 'healthy' } });
  });

  it('P8 is refused unlocked: stage-0 locks it before it hands over', () => {
    expect(reasonsIn(verdictOn(running({ form: 'unlocked' })))).toEqual(['floor-index-mismatch']);
  });

  it('P8 must be there after the first boot that could write it', () => {
    expect(verdictOn(healthOf()).verdict).toBe('accept');
    const appraisal = verdictOn(healthOf({ attester: { session: SESSION, floorExpected: true } }));
    expect(appraisal).toMatchObject({ verdict: 'hold', authentic: true });
    expect(reasonsIn(appraisal)).toEqual(['floor-missing']);
  });
});

describe('what a node says of its health', () => {
  const claiming = (claims: Record<string, unknown>, purpose: 'health' | 'reattest' = 'health') =>
    healthOf({ purpose, claims });

  it('is healthy unless it says that it is not', () => {
    expect(decide(claiming({})).accepted?.health).toBe('healthy');
    expect(decide(claiming({ health: 'healthy' })).accepted?.health).toBe('healthy');
    expect(decide(claiming({ health: 'unhealthy' }))).toMatchObject({
      verdict: 'accept',
      accepted: { health: 'unhealthy' },
    });
  });

  it('is no part of other evidence', () => {
    expect(decide(claiming({}, 'reattest')).accepted?.health).toBeUndefined();
    expect(reasonsIn(decide(claiming({ health: 'healthy' }, 'reattest')))).toEqual(['claims-malformed']);
    expect(reasonsIn(decide(bootOf({ claims: { health: 'unhealthy' } })))).toEqual(['claims-malformed']);
  });
});

describe('a report', () => {
  const text = 'unit a: failed\n\u001b[31mpanic\u0007\ttwice\r\n';
  const reporting = (report: Uint8Array | undefined, reportSha256?: string) => ({
    ...bootOf({ claims: reportSha256 === undefined ? {} : { reportSha256 } }),
    ...(report && { untrustedReport: report }),
  });
  const digestOf = (report: Uint8Array) => toHex(sha256(report));

  it('A10 is kept as printable lines', () => {
    const report = utf8Bytes(text);
    expect(decide(reporting(report, digestOf(report))).accepted?.report).toBe(
      'unit a: failed\n\\u{1b}[31mpanic\\u{7} twice',
    );
  });

  it('is kept from its end when it is long', () => {
    const report = utf8Bytes(`${'\u0001'.repeat(16_000)}the last line`);
    const kept = decide(reporting(report, digestOf(report))).accepted?.report ?? '';
    expect(kept).toHaveLength(16 * 1024);
    expect(kept).toMatch(/^\.\.\..*the last line$/);
  });

  it('must be the one that the claims name, and there exactly when they name one', () => {
    const report = utf8Bytes(text);
    const faults = [
      reporting(report),
      reporting(undefined, digestOf(report)),
      reporting(report, digestOf(utf8Bytes('another'))),
    ];
    for (const input of faults) expect(reasonsIn(decide(input))).toEqual(['claims-report-mismatch']);
    expect(decide(reporting(report)).reasons[0]?.message).toMatch(
      /^the claims name no report, the one that came is [0-9a-f]{12}\.\.\.$/,
    );
    expect(decide({ ...reporting(report), nowSeconds: NOW }).authentic).toBe(false);
  });
});
