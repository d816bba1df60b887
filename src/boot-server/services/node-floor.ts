import type { Appraisal } from '../../attestation/appraisal.ts';
import type { KnownFloor } from '../../attestation/attestation-store.ts';
import type { FloorVersions } from '../../attestation/floor/floor-record.ts';
import { floorApprovalOf } from '../../attestation/policy/stage0-matching.ts';
import type { Purpose } from '../../attestation/quote/purpose.ts';
import type { ReasonCode } from '../../attestation/reasons.ts';
import { channelRole } from '../../signing/names.ts';
import type { VerifiedRepository } from '../../signing/tuf/verify-repository.ts';

type Accepted = NonNullable<Appraisal['accepted']>;

/** The versions that a node of this channel can have seen from here; undefined where the channel is not listed. */
export function publishedFloorOf(
  { roles }: Pick<VerifiedRepository, 'roles'>,
  channel: string,
): FloorVersions | undefined {
  const versionOf = (role: string) => roles.get(role)?.version;
  const [root, targets, snapshot] = ['root', 'targets', 'snapshot'].map(versionOf);
  const ofChannel = versionOf(channelRole(channel));
  if (root === undefined || targets === undefined || snapshot === undefined || ofChannel === undefined)
    return undefined;
  return { root, targets, snapshot, channel: ofChannel };
}

/** What is remembered with accepted evidence: what was shown, or that a boot that may write the floor has to. */
export function floorAfter(accepted: Accepted, purpose: Purpose): { floor?: KnownFloor } {
  if (accepted.floor !== undefined) return { floor: { shown: accepted.floor } };
  if (purpose !== 'boot') return {};
  return floorApprovalFor(accepted) === undefined ? {} : { floor: 'expected' };
}

/** What lets the stage-0 that was identified write its floor; hex. */
export function floorApprovalFor({ stage0 }: Accepted): string | undefined {
  return stage0 && floorApprovalOf(stage0);
}

const OF_THIS_SIDE: readonly ReasonCode[] = ['floor-ahead', 'floor-other-channel'];

/** The node did nothing wrong: this server was set back, or the node moved to another channel since it booted. */
export function isOfThisSide({ reasons }: Pick<Appraisal, 'reasons'>): boolean {
  return reasons.length > 0 && reasons.every(({ code }) => OF_THIS_SIDE.includes(code));
}
