import {
  Stage0ListingError,
  verifyListedApprovals,
  verifyStage0Listing,
} from '../../attestation/policy/stage0-listing.ts';
import { fromHex, toHex } from '../../core/bytes.ts';
import type { Stage0ImageRecord } from '../../releases/release-store.ts';
import { measureStage0 } from '../../signing/efi/stage0-measurements.ts';
import type { Stage0Listing } from '../../signing/tuf/listings.ts';
import { metadataRefused } from './refuse-publication.ts';

/**
 * What booting a listed image leaves in the TPM, computed from its bytes. The listing's own figures are
 * compared, never believed: they were signed by keys that did not boot the image.
 *
 * @throws {Stage0ListingError | EfiError}
 */
export function createStage0ImageRecord(listing: Stage0Listing, image: Uint8Array): Stage0ImageRecord {
  const { pcr4SecureBoot, pcr4NoSecureBoot, pcr11 } = verifyStage0Listing(listing, measureStage0(image));
  return {
    sha256: listing.sha256,
    build: listing.build,
    architecture: listing.architecture,
    pcr4SecureBoot: toHex(pcr4SecureBoot),
    ...(pcr4NoSecureBoot && { pcr4NoSecureBoot: toHex(pcr4NoSecureBoot) }),
    pcr11: toHex(pcr11),
  };
}

/**
 * An image that is known from before is listed again, perhaps with other approvals.
 *
 * @throws {Problem} `metadata-refused`
 */
export function requireFloorApprovals(listing: Stage0Listing, image: Stage0ImageRecord): void {
  const { pcr4SecureBoot, pcr4NoSecureBoot, pcr11 } = image;
  try {
    verifyListedApprovals(listing, {
      pcr4SecureBoot: fromHex(pcr4SecureBoot),
      ...(pcr4NoSecureBoot !== undefined && { pcr4NoSecureBoot: fromHex(pcr4NoSecureBoot) }),
      pcr11: fromHex(pcr11),
    });
  } catch (cause) {
    if (cause instanceof Stage0ListingError) throw metadataRefused(cause);
    throw cause;
  }
}
