import { expect, it } from 'vitest';
import { signFloorApprovals } from '../../../src/attestation/floor/floor-approval.ts';
import {
  type ListedStage0,
  verifyListedApprovals,
  verifyStage0Listing,
} from '../../../src/attestation/policy/stage0-listing.ts';
import { predictStage0Pcrs } from '../../../src/attestation/policy/stage0-reference.ts';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import { FLOOR_KEY } from '../floor/floor-fixture.ts';

const MEASURED = {
  authenticodeSha256: sha256(asciiBytes('image')),
  innerKernelAuthenticodeSha256: sha256(asciiBytes('kernel')),
  sections: [{ name: '.linux', sha256: sha256(asciiBytes('kernel section')) }],
};
const PCRS = predictStage0Pcrs(MEASURED);

const LISTING: ListedStage0 = {
  target: 'stage0/x86-64-1.efi',
  authenticodeSha256: toHex(MEASURED.authenticodeSha256),
  pcr11: toHex(PCRS.pcr11),
  floorKey: FLOOR_KEY.floorKey,
  floorApprovals: await signFloorApprovals(PCRS, FLOOR_KEY.sign),
};
const { floorKey: _key, floorApprovals: _approvals, ...WITHOUT_FLOOR } = LISTING;

it('says what booting the image leaves, when that is what is listed', () => {
  expect(verifyStage0Listing(LISTING, MEASURED)).toEqual(PCRS);
  expect(verifyStage0Listing(WITHOUT_FLOOR, MEASURED)).toEqual(PCRS);
});

it.each(['authenticodeSha256', 'pcr11'] as const)('P8 refuses another %s than the bytes give', (member) => {
  expect(() => verifyStage0Listing({ ...LISTING, [member]: '00'.repeat(32) }, MEASURED)).toThrow(
    `stage0/x86-64-1.efi is listed with ${member} 00`,
  );
});

it('P8 refuses approvals of another image', () => {
  const other = { ...PCRS, pcr11: new Uint8Array(32) };
  expect(() => verifyListedApprovals(LISTING, other)).toThrow(
    /^stage0\/x86-64-1\.efi: the floor approval for Secure Boot on is not/,
  );
});
