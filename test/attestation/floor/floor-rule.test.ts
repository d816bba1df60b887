import { describe, expect, it } from 'vitest';
import {
  channelHashOf,
  encodeFloorRecord,
  FLOOR_VERSIONS,
  type FloorRecord,
} from '../../../src/attestation/floor/floor-record.ts';
import { checkFloorRecord, type FloorReference } from '../../../src/attestation/floor/floor-rule.ts';

const VERSIONS = { root: 2, targets: 3, snapshot: 40, channel: 5 };
const RECORD: FloorRecord = {
  ...VERSIONS,
  channelHash: channelHashOf('demo'),
  signedAtSeconds: 1_800_000_000,
};
const REFERENCE: FloorReference = {
  required: true,
  channelHash: channelHashOf('demo'),
  lowest: VERSIONS,
  published: VERSIONS,
};
const findingsOn = (record: Partial<FloorRecord>, reference: Partial<FloorReference> = {}) =>
  checkFloorRecord(encodeFloorRecord({ ...RECORD, ...record }), { ...REFERENCE, ...reference });
const codesOn = (...of: Parameters<typeof findingsOn>) => findingsOn(...of).map(({ code }) => code);

describe('what a floor record is held against', () => {
  it('takes what was seen before, and what is published', () => {
    expect(findingsOn({})).toEqual([]);
    const published = { root: 3, targets: 4, snapshot: 41, channel: 6 };
    expect(findingsOn(published, { published })).toEqual([]);
    expect(findingsOn({ signedAtSeconds: 0 })).toEqual([]);
  });

  it('takes a first record where none was seen, and any where nothing is published', () => {
    const { lowest: _l, published: _p, ...bare } = REFERENCE;
    expect(checkFloorRecord(encodeFloorRecord(RECORD), bare)).toEqual([]);
    expect(checkFloorRecord(undefined, { ...bare, required: false })).toEqual([]);
  });

  it('P8 holds a node without the record that it had', () => {
    expect(checkFloorRecord(undefined, REFERENCE)).toEqual([
      {
        code: 'floor-missing',
        message: 'floor: expected one of root 2, targets 3, snapshot 40, channel 5 or more, no record came',
      },
    ]);
    const { lowest: _, ...first } = REFERENCE;
    expect(checkFloorRecord(undefined, first)[0]?.message).toBe(
      'floor: expected its first record, no record came',
    );
  });

  it.each(FLOOR_VERSIONS)('R1 holds a node whose record of %s went back', (role) => {
    const findings = findingsOn({ [role]: VERSIONS[role] - 1 });
    expect(findings.map(({ code }) => code)).toEqual(['floor-went-back']);
    expect(findings[0]?.message).toContain(`${role} ${VERSIONS[role] - 1}`);
  });

  it.each(FLOOR_VERSIONS)('R3 R4 holds a node that has seen more of %s than is published', (role) => {
    const findings = findingsOn({ [role]: VERSIONS[role] + 1 });
    expect(findings.map(({ code }) => code)).toEqual(['floor-ahead']);
    expect(findings[0]?.message).toContain(`has seen root`);
    expect(findings[0]?.message).toContain(`${role} ${VERSIONS[role] + 1}`);
    expect(findings[0]?.message).toContain('this server publishes root 2, targets 3, snapshot 40, channel 5');
  });

  it('R11 holds a node whose record was run up to the highest version', () => {
    const highest = Number.MAX_SAFE_INTEGER;
    expect(codesOn({ root: highest, snapshot: highest })).toEqual(['floor-ahead']);
  });

  it('R11 takes a snapshot version that starts anew under a newer root, and no other', () => {
    const renewed = { root: 3, snapshot: 1 };
    expect(codesOn(renewed, { published: { ...VERSIONS, ...renewed } })).toEqual([]);
    expect(codesOn({ root: 3, targets: 2 }, { published: { ...VERSIONS, root: 3 } })).toEqual([
      'floor-went-back',
    ]);
    expect(codesOn({ root: 3, channel: 4 }, { published: { ...VERSIONS, root: 3 } })).toEqual([
      'floor-went-back',
    ]);
  });

  it('R11 takes a record that a thief ran up, once a newer root is published', () => {
    const ranUp = { snapshot: 9_000_000 };
    expect(codesOn(ranUp)).toEqual(['floor-ahead']);
    expect(codesOn(ranUp, { published: { ...VERSIONS, root: 3, snapshot: 1 } })).toEqual([]);
    expect(codesOn({ ...ranUp, root: 4 }, { published: { ...VERSIONS, root: 3 } })).toEqual(['floor-ahead']);
  });

  it('P13 holds a node whose record is of another channel, whatever its versions', () => {
    const channelHash = channelHashOf('lab');
    expect(codesOn({ channelHash })).toEqual(['floor-other-channel']);
    expect(codesOn({ channelHash, root: 1, channel: 900 })).toEqual(['floor-other-channel']);
  });

  it('tells both when one version went back and another is ahead', () => {
    expect(codesOn({ root: 1, channel: 900 })).toEqual(['floor-went-back', 'floor-ahead']);
  });

  it('refuses what is no record', () => {
    const findings = checkFloorRecord(new Uint8Array(64), REFERENCE);
    expect(findings.map(({ code }) => code)).toEqual(['floor-malformed']);
  });
});
