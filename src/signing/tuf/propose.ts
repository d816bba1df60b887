import type { JsonObject } from '../../core/strict-json.ts';
import type { ReleaseListing } from '../manifest.ts';
import { channelRole, STAGE0_ROLE } from '../names.ts';
import type { TufKey } from '../public-key.ts';
import { composeDelegated, composeRoot, composeTargets, type MetadataVersion, renewed } from './compose.ts';
import { TufError } from './errors.ts';
import {
  delegatesOf,
  isSameRing,
  type Keyrings,
  keyringsOf,
  requireSensible,
  topLevelOf,
} from './keyrings.ts';
import type { Stage0Listing } from './listings.ts';
import { createProposal, type Proposal } from './proposal.ts';
import { TOP_LEVEL_ROLES } from './root.ts';
import type { DelegatedMetadata } from './targets.ts';
import type { TrustedMetadata } from './verify-metadata.ts';

// Every change that people sign, as the files that it takes. `expiresMs` is that of the roles signed at a
// ceremony: root, targets, channels and stage0.

/** Who may sign what, and whose challenges nodes answer. */
export interface Trust {
  readonly keyrings: Keyrings;
  readonly grantKeys: readonly TufKey[];
}

export function trustOf(current: TrustedMetadata): Trust {
  return { keyrings: keyringsOf(current), grantKeys: [...current.root.grantKeys.values()] };
}

/** A new repository: no releases yet. @throws {TufError} `tuf-keys-refused` */
export function proposeRepository({ keyrings, grantKeys }: Trust, expiresMs: number): Proposal {
  requireSensible(keyrings);
  const at: MetadataVersion = { version: 1, expiresMs };
  const empty = delegatedRoles(keyrings).map((role) => ({ role, signed: composeDelegated(at, {}) }));
  return createProposal(undefined, [
    { role: 'root', signed: composeRoot(at, topLevelOf(keyrings), grantKeys) },
    { role: 'targets', signed: composeTargets(at, delegatesOf(keyrings)) },
    ...empty,
  ]);
}

/**
 * Other keys, thresholds, channels or grant keys. A role whose keys change is signed again by the new ones,
 * at once: no client ever sees a file that its keys did not sign.
 *
 * @throws {TufError} `tuf-keys-refused`; `tuf-proposal-invalid` when nothing changes
 */
export function proposeTrust(current: TrustedMetadata, wanted: Trust, expiresMs: number): Proposal {
  requireSensible(wanted.keyrings);
  const before = trustOf(current);
  const changed = new Set(
    [...wanted.keyrings]
      .filter(([role, ring]) => !isSameRing(before.keyrings.get(role), ring))
      .map(([role]) => role),
  );
  const inRoot =
    TOP_LEVEL_ROLES.some((role) => changed.has(role)) || !isSameKeys(before.grantKeys, wanted.grantKeys);
  const delegated = delegatedRoles(wanted.keyrings).filter((role) => changed.has(role));
  const next = (version: number): MetadataVersion => ({ version: version + 1, expiresMs });
  const { root, targets } = current;
  const files = [];
  if (inRoot)
    files.push({
      role: 'root',
      signed: composeRoot(next(root.version), topLevelOf(wanted.keyrings), wanted.grantKeys),
    });
  if (changed.has('targets') || delegated.length > 0)
    files.push({
      role: 'targets',
      signed: composeTargets(next(targets.version), delegatesOf(wanted.keyrings)),
    });
  for (const role of delegated) {
    const metadata = delegatedMetadata(current, role);
    files.push({ role, signed: composeDelegated(next(metadata?.version ?? 0), metadata?.targets ?? {}) });
  }
  return createProposal(current, files);
}

/** @throws {TufError} when the channel is not there, or has listed the version before */
export function proposeRelease(
  current: TrustedMetadata,
  release: ReleaseListing,
  expiresMs: number,
): Proposal {
  const { version, architecture, name } = release;
  return proposeTarget(current, {
    role: channelRole(release.channel),
    target: release.target,
    entry: targetObject(release, { version, architecture, name }),
    expiresMs,
  });
}

/** @throws {TufError} when the build was listed before */
export function proposeStage0(current: TrustedMetadata, listing: Stage0Listing, expiresMs: number): Proposal {
  const { build, architecture, authenticodeSha256, pcr11, floorKey, floorApprovals } = listing;
  return proposeTarget(current, {
    role: STAGE0_ROLE,
    target: listing.target,
    entry: targetObject(listing, {
      build,
      architecture,
      authenticodeSha256,
      pcr11,
      ...(floorKey !== undefined && { floorKey }),
      ...(floorApprovals !== undefined && { floorApprovals: { ...floorApprovals } }),
    }),
    expiresMs,
  });
}

/** The role's next version, without the target. @throws {TufError} `tuf-target-invalid` */
export function proposeWithdrawal(
  current: TrustedMetadata,
  { role, target }: { role: string; target: string },
  expiresMs: number,
): Proposal {
  const metadata = requireRole(current, role);
  if (!Object.hasOwn(metadata.targets, target))
    throw new TufError('tuf-target-invalid', `${target} is not listed, so it cannot be withdrawn`);
  const { [target]: _, ...rest } = metadata.targets;
  return createProposal(current, [
    { role, signed: composeDelegated({ version: metadata.version + 1, expiresMs }, rest) },
  ]);
}

/** Everything once more, before the long-lived roles expire. Nothing that it says changes. */
export function proposeRenewal(current: TrustedMetadata, expiresMs: number): Proposal {
  const again = (role: string, { signed, version }: { signed: JsonObject; version: number }) => ({
    role,
    signed: renewed(signed, { version: version + 1, expiresMs }),
  });
  return createProposal(current, [
    again('root', current.root),
    again('targets', current.targets),
    ...current.delegated.map(({ delegation, metadata }) => again(delegation.role, metadata)),
  ]);
}

function proposeTarget(
  current: TrustedMetadata,
  input: { role: string; target: string; entry: JsonObject; expiresMs: number },
): Proposal {
  const { role, target, entry, expiresMs } = input;
  const metadata = requireRole(current, role);
  if (Object.hasOwn(metadata.targets, target))
    throw new TufError('tuf-target-invalid', `${target} is listed already: what is released never changes`);
  const at = { version: metadata.version + 1, expiresMs };
  return createProposal(current, [
    { role, signed: composeDelegated(at, { ...metadata.targets, [target]: entry }) },
  ]);
}

function requireRole(current: TrustedMetadata, role: string): DelegatedMetadata {
  const metadata = delegatedMetadata(current, role);
  if (metadata !== undefined) return metadata;
  throw new TufError('tuf-delegation-invalid', `the repository has no role ${role}`);
}

function delegatedMetadata(current: TrustedMetadata, role: string): DelegatedMetadata | undefined {
  return current.delegated.find(({ delegation }) => delegation.role === role)?.metadata;
}

function delegatedRoles(keyrings: Keyrings): readonly string[] {
  return [...keyrings.keys()].filter((role) => !TOP_LEVEL_ROLES.some((topLevel) => topLevel === role));
}

function isSameKeys(one: readonly TufKey[], other: readonly TufKey[]): boolean {
  return isSameRing({ keys: one, threshold: 1 }, { keys: other, threshold: 1 });
}

function targetObject(
  { length, sha256 }: { length: number; sha256: string },
  custom: JsonObject,
): JsonObject {
  return { length, hashes: { sha256 }, custom };
}
