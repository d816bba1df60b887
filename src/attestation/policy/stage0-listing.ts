import { toHex } from '../../core/bytes.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import { type ApprovedPcrs, type FloorApprovals, verifyFloorApprovals } from '../floor/floor-approval.ts';
import { type PredictedStage0Pcrs, predictStage0Pcrs, type Stage0Measurements } from './stage0-reference.ts';

export class Stage0ListingError extends CodedError<'stage0-not-as-listed'> {
  constructor(message: string, options?: ErrorOptions) {
    super('stage0-not-as-listed', message, options);
  }
}

/** What signed metadata says that booting an image measures, and which values may write the floor. */
export interface ListedStage0 {
  readonly target: string;
  /** Hex. */
  readonly authenticodeSha256: string;
  /** Hex. */
  readonly pcr11: string;
  /** Base64; there exactly where the approvals are. */
  readonly floorKey?: string;
  readonly floorApprovals?: FloorApprovals;
}

/**
 * A listing is held against the bytes of its image, by whoever signs, publishes or serves it: its figures were
 * written by people and programs that did not boot it.
 *
 * @param measured of the image that is listed
 * @returns what booting it leaves
 * @throws {Stage0ListingError}
 */
export function verifyStage0Listing(
  listing: ListedStage0,
  measured: Stage0Measurements,
): PredictedStage0Pcrs {
  const pcrs = predictStage0Pcrs(measured);
  requireEqual(listing, 'authenticodeSha256', measured.authenticodeSha256);
  requireEqual(listing, 'pcr11', pcrs.pcr11);
  verifyListedApprovals(listing, pcrs);
  return pcrs;
}

/**
 * A listing that approves another image than its own would let that one write the floor.
 *
 * @throws {Stage0ListingError}
 */
export function verifyListedApprovals(
  { target, floorKey, floorApprovals }: ListedStage0,
  pcrs: ApprovedPcrs,
): void {
  if (floorKey === undefined || floorApprovals === undefined) return;
  try {
    verifyFloorApprovals({ floorKey, floorApprovals }, pcrs);
  } catch (cause) {
    throw new Stage0ListingError(`${target}: ${messageOf(cause)}`, { cause });
  }
}

function requireEqual(
  listing: ListedStage0,
  member: 'authenticodeSha256' | 'pcr11',
  computed: Uint8Array,
): void {
  if (listing[member] === toHex(computed)) return;
  throw new Stage0ListingError(
    `${listing.target} is listed with ${member} ${listing[member]}, its bytes give ${toHex(computed)}`,
  );
}
