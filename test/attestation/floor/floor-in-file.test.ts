import { describe, expect, it } from 'vitest';
import { evidenceDocumentOf } from '../../../src/attestation/appraisal.ts';
import {
  readEvidenceDocument,
  verifyEvidenceDocument,
} from '../../../src/attestation/evidence/evidence-file.ts';
import { pinFloorIndex } from '../../../src/attestation/floor/floor-pinning.ts';
import { floorApprovalOf } from '../../../src/attestation/policy/stage0-matching.ts';
import { EMPTY } from '../../../src/core/bytes.ts';
import { appraisalInput, STAGE0 } from '../appraisal-fixture.ts';
import { CHANNEL, certifyFloor, FLOOR_KEY, RECORD, VERSIONS } from './floor-fixture.ts';

const HIGHEST = Number.MAX_SAFE_INTEGER;
const FLOOR = { required: true, channelHash: RECORD.channelHash, lowest: VERSIONS, published: VERSIONS };
const DOCUMENT = JSON.parse(evidenceDocumentOf(appraisalInput({ channel: CHANNEL })));
const documentWith = (floor: unknown) =>
  JSON.stringify({ ...DOCUMENT, policy: { ...DOCUMENT.policy, floor } });

describe('the floor rule in an evidence file', () => {
  it('is read as it was written, up to the highest version', () => {
    const floor = { ...FLOOR, published: { ...VERSIONS, root: HIGHEST, snapshot: HIGHEST } };
    expect(readEvidenceDocument(documentWith(floor)).policy.floor).toEqual(floor);
    const { lowest: _l, published: _p, ...bare } = FLOOR;
    expect(readEvidenceDocument(documentWith(bare)).policy.floor).toEqual(bare);
  });

  it('P8 holds a file in which a required record is missing', () => {
    expect(verifyEvidenceDocument(documentWith(FLOOR))).toMatchObject({
      verdict: 'hold',
      reasons: [{ code: 'floor-missing' }],
    });
  });

  it.each<[string, unknown]>([
    ['a text', 'required'],
    ['without its channel', { required: true }],
    ['without saying whether it is required', { channelHash: RECORD.channelHash }],
    ['required by a word', { ...FLOOR, required: 'yes' }],
    ['of a channel by its name', { ...FLOOR, channelHash: CHANNEL }],
    ['of a channel by a number', { ...FLOOR, channelHash: 5 }],
    ['with an unknown member', { ...FLOOR, names: [] }],
    ['with a version of 0', { ...FLOOR, lowest: { ...VERSIONS, root: 0 } }],
    ['with a version of 2^53', { ...FLOOR, published: { ...VERSIONS, channel: '9007199254740992' } }],
    ['with a version too few', { ...FLOOR, lowest: { root: 1, targets: 1, snapshot: 1 } }],
    ['with a version too many', { ...FLOOR, lowest: { ...VERSIONS, timestamp: 1 } }],
    ['with a fractional version', { ...FLOOR, lowest: { ...VERSIONS, root: 1.5 } }],
  ])('is refused when it is %s', (_name, floor) => {
    expect(verifyEvidenceDocument(documentWith(floor))).toMatchObject({
      verdict: 'refuse',
      reasons: [{ code: 'evidence-malformed' }],
    });
  });
});

it('a floor is pinned to the first key when what came names no index', () => {
  const { untrustedEvidence } = appraisalInput();
  const pinned = (attest: Uint8Array) =>
    pinFloorIndex(
      { attest, signature: EMPTY, contents: EMPTY },
      { floorKeys: [FLOOR_KEY.floorKey], form: 'unlocked' },
    );
  const right = pinned(certifyFloor({ extraData: EMPTY }).attest)?.nvPublic;
  expect(right).toBeDefined();
  for (const attest of [untrustedEvidence.attest, EMPTY]) expect(pinned(attest)?.nvPublic).toEqual(right);
});

it('a stage-0 is approved for the Secure Boot state that it was started in', () => {
  const floorApprovals = { secureBoot: 'aa', noSecureBoot: 'bb' };
  const reference = { ...STAGE0, floorApprovals };
  expect(floorApprovalOf({ reference, secureBoot: true })).toBe('aa');
  expect(floorApprovalOf({ reference, secureBoot: false })).toBe('bb');
  expect(floorApprovalOf({ reference: STAGE0, secureBoot: true })).toBeUndefined();
  expect(floorApprovalOf({ reference: STAGE0, secureBoot: false })).toBeUndefined();
});
