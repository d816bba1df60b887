import { verifyFloorApprovals } from '../../attestation/floor/floor-approval.ts';
import { predictStage0Pcrs } from '../../attestation/policy/stage0-reference.ts';
import { fromHex, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { Stage0ImageRecord } from '../../releases/release-store.ts';
import { authenticodeSha256 } from '../../signing/efi/authenticode.ts';
import { parsePe } from '../../signing/efi/pe.ts';
import { measureUki } from '../../signing/efi/uki-measurement.ts';
import type { Stage0Listing } from '../../signing/tuf/listings.ts';
import { Problem } from '../problems.ts';

/**
 * What booting a listed image leaves in the TPM, computed from its bytes. The listing's own figures are
 * compared, never believed: they were signed by keys that did not boot the image.
 *
 * @throws {Problem | EfiError}
 */
export function createStage0ImageRecord(listing: Stage0Listing, image: Uint8Array): Stage0ImageRecord {
  const measured = measureUki(image);
  const kernel = parsePe(image).sections.find((section) => section.name === '.linux');
  const predicted = predictStage0Pcrs({
    authenticodeSha256: measured.authenticodeSha256,
    ...(kernel && { innerKernelAuthenticodeSha256: authenticodeSha256(kernel.data) }),
    sections: measured.sections,
  });
  requireEqual(listing, 'authenticodeSha256', toHex(measured.authenticodeSha256));
  requireEqual(listing, 'pcr11', toHex(predicted.pcr11));
  return {
    sha256: listing.sha256,
    build: listing.build,
    architecture: listing.architecture,
    pcr4SecureBoot: toHex(predicted.pcr4SecureBoot),
    ...(predicted.pcr4NoSecureBoot && { pcr4NoSecureBoot: toHex(predicted.pcr4NoSecureBoot) }),
    pcr11: toHex(predicted.pcr11),
  };
}

/**
 * A listing that approves another image than its own would let that one write the floor.
 *
 * @throws {Problem} `metadata-refused`
 */
export function requireFloorApprovals(listing: Stage0Listing, image: Stage0ImageRecord): void {
  const { floorKey, floorApprovals } = listing;
  if (floorKey === undefined || floorApprovals === undefined) return;
  try {
    verifyFloorApprovals(
      { floorKey, floorApprovals },
      {
        pcr4SecureBoot: fromHex(image.pcr4SecureBoot),
        ...(image.pcr4NoSecureBoot !== undefined && { pcr4NoSecureBoot: fromHex(image.pcr4NoSecureBoot) }),
        pcr11: fromHex(image.pcr11),
      },
    );
  } catch (cause) {
    throw new Problem('metadata-refused', `${listing.target}: ${messageOf(cause)}`, { cause });
  }
}

function requireEqual(
  listing: Stage0Listing,
  member: 'authenticodeSha256' | 'pcr11',
  computed: string,
): void {
  if (listing[member] !== computed)
    throw new Problem(
      'metadata-refused',
      `${listing.target} is listed with ${member} ${listing[member]}, its bytes give ${computed}`,
    );
}
