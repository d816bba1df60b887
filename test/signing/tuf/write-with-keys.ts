import type { ReleaseListing } from '../../../src/signing/manifest.ts';
import { channelRole } from '../../../src/signing/names.ts';
import type { TufKey } from '../../../src/signing/public-key.ts';
import type { Expiry } from '../../../src/signing/repository/settings.ts';
import { createKeyRoleSigner } from '../../../src/signing/role-signer.ts';
import type { Signer } from '../../../src/signing/signer.ts';
import type { RoleKeyring } from '../../../src/signing/tuf/compose.ts';
import { finishProposal, type RepositoryChange } from '../../../src/signing/tuf/finish-proposal.ts';
import type { Stage0Listing } from '../../../src/signing/tuf/listings.ts';
import { authoritiesOf, type Proposal, signProposal } from '../../../src/signing/tuf/proposal.ts';
import {
  proposeRelease,
  proposeRenewal,
  proposeRepository,
  proposeStage0,
} from '../../../src/signing/tuf/propose.ts';
import type { TrustedMetadata } from '../../../src/signing/tuf/verify-metadata.ts';

export { type RepositoryChange, verifyChange } from '../../../src/signing/tuf/finish-proposal.ts';
export type { Expiry };

// Changes by somebody who holds all keys, in one call each.

export interface OnlineSigners {
  readonly snapshot: readonly Signer[];
  readonly timestamp: readonly Signer[];
}

export interface RepositorySigners extends OnlineSigners {
  readonly root: readonly Signer[];
  readonly targets: readonly Signer[];
  readonly stage0: readonly Signer[];
  readonly channels: ReadonlyMap<string, readonly Signer[]>;
}

/** All keys sign, thresholds are the number of keys, no releases yet. */
export async function createRepository(input: {
  signers: RepositorySigners;
  grantKeys: readonly TufKey[];
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { signers, grantKeys, expiry } = input;
  const { channels, ...roles } = signers;
  const keyrings = new Map<string, RoleKeyring>();
  for (const [role, keys] of Object.entries(roles)) keyrings.set(role, keyringOf(keys));
  for (const [channel, keys] of channels) keyrings.set(channelRole(channel), keyringOf(keys));
  const proposal = proposeRepository({ keyrings, grantKeys }, expiry.offlineMs);
  return finish({ current: undefined, proposal, signers: allOf(signers), expiry });
}

export async function addRelease(input: {
  current: TrustedMetadata;
  release: ReleaseListing;
  signers: OnlineSigners & { channel: readonly Signer[] };
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, release, signers, expiry } = input;
  const proposal = proposeRelease(current, release, expiry.offlineMs);
  return finish({ current, proposal, signers: [...signers.channel, ...onlineOf(signers)], expiry });
}

export async function addStage0Build(input: {
  current: TrustedMetadata;
  build: Stage0Listing;
  signers: OnlineSigners & { stage0: readonly Signer[] };
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, build, signers, expiry } = input;
  const proposal = proposeStage0(current, build, expiry.offlineMs);
  return finish({ current, proposal, signers: [...signers.stage0, ...onlineOf(signers)], expiry });
}

export function refreshRepository(input: {
  current: TrustedMetadata;
  signers: OnlineSigners;
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, signers, expiry } = input;
  const signer = createKeyRoleSigner(onlineOf(signers));
  return finishProposal({ current, signer, ...signedFor(expiry) });
}

export function renewRepository(input: {
  current: TrustedMetadata;
  signers: RepositorySigners;
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, signers, expiry } = input;
  const proposal = proposeRenewal(current, expiry.offlineMs);
  return finish({ current, proposal, signers: allOf(signers), expiry });
}

async function finish(input: {
  current: TrustedMetadata | undefined;
  proposal: Proposal;
  signers: readonly Signer[];
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, proposal, expiry } = input;
  const signer = createKeyRoleSigner(input.signers);
  const signed = await signProposal(proposal, authoritiesOf(proposal, current), signer);
  return finishProposal({ current, proposal: signed, signer, ...signedFor(expiry) });
}

/** Signed 30 days before it expires, as by default. */
const signedFor = ({ onlineMs }: Expiry) => ({
  onlineExpiresMs: onlineMs,
  nowMs: Math.max(0, onlineMs - 30 * 86_400_000),
});
const onlineOf = ({ snapshot, timestamp }: OnlineSigners) => [...snapshot, ...timestamp];

function allOf(signers: RepositorySigners): readonly Signer[] {
  const { root, targets, stage0, channels } = signers;
  return [...root, ...targets, ...stage0, ...[...channels.values()].flat(), ...onlineOf(signers)];
}

function keyringOf(signers: readonly Signer[]): RoleKeyring {
  return { keys: signers.map(({ key }) => key), threshold: signers.length };
}
