import type { JsonObject } from '../../core/strict-json.ts';
import { referenceOf } from '../artifact.ts';
import type { ReleaseListing } from '../manifest.ts';
import { channelRole, STAGE0_ROLE } from '../names.ts';
import type { TufKey } from '../public-key.ts';
import type { Signer } from '../signer.ts';
import {
  composeDelegated,
  composeRoot,
  composeSnapshot,
  composeTargets,
  composeTimestamp,
  type MetadataVersion,
  renewed,
} from './compose.ts';
import { TufError } from './errors.ts';
import type { Stage0Listing } from './listings.ts';
import type { MetaFile } from './meta-files.ts';
import { rootFile } from './root.ts';
import { signMetadata } from './sign-metadata.ts';
import { type TrustedMetadata, versionedFile } from './verify-metadata.ts';
import { verifyRepository } from './verify-repository.ts';

/** One metadata file to write. */
export interface MetadataFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/**
 * Files in the order in which they must be written: what is pointed at before what points at it, the
 * timestamp last. A crash in between leaves files that no timestamp leads to, and the repository as it
 * was; the next change takes the same version numbers and writes over them. Only a new root counts as
 * soon as it is there; it comes first and changes no key, so that what is below it stays valid.
 */
export type RepositoryChange = readonly MetadataFile[];

/** When new metadata expires: roles signed at a ceremony live long, snapshot and timestamp briefly. */
export interface Expiry {
  readonly offlineMs: number;
  readonly onlineMs: number;
}

export interface OnlineSigners {
  readonly snapshot: readonly Signer[];
  readonly timestamp: readonly Signer[];
}

export interface RepositorySigners extends OnlineSigners {
  readonly root: readonly Signer[];
  readonly targets: readonly Signer[];
  readonly stage0: readonly Signer[];
  /** By channel name. */
  readonly channels: ReadonlyMap<string, readonly Signer[]>;
}

/** A new repository: all keys sign, thresholds are the number of keys, no releases yet. */
export async function createRepository(input: {
  signers: RepositorySigners;
  grantKeys: readonly TufKey[];
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { signers, grantKeys, expiry } = input;
  const offline: MetadataVersion = { version: 1, expiresMs: expiry.offlineMs };
  const top = {
    root: keyringOf(signers.root),
    timestamp: keyringOf(signers.timestamp),
    snapshot: keyringOf(signers.snapshot),
    targets: keyringOf(signers.targets),
  };
  const channelKeyrings = [...signers.channels].map(([name, keys]) => [name, keyringOf(keys)] as const);
  const delegates = { stage0: keyringOf(signers.stage0), channels: new Map(channelKeyrings) };
  const root = await signMetadata('root', composeRoot(offline, top, grantKeys), signers.root);
  const roles: SignedRole[] = [
    await signRole('targets', composeTargets(offline, delegates), 1, signers.targets),
    await signRole(STAGE0_ROLE, composeDelegated(offline, {}), 1, signers.stage0),
  ];
  for (const [channel, keys] of signers.channels)
    roles.push(await signRole(channelRole(channel), composeDelegated(offline, {}), 1, keys));
  const online = await signOnline({ roles, before: undefined, signers, expiresMs: expiry.onlineMs });
  return [{ name: rootFile(1), bytes: root }, ...roles, ...online];
}

/** @throws {TufError} when the channel is not there, or lists the version already */
export async function addRelease(input: {
  current: TrustedMetadata;
  release: ReleaseListing;
  signers: OnlineSigners & { channel: readonly Signer[] };
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { release, signers } = input;
  const { version, architecture, name } = release;
  return addTarget({
    ...input,
    role: channelRole(release.channel),
    target: release.target,
    entry: targetObject(release, { version, architecture, name }),
    signers: { ...signers, role: signers.channel },
  });
}

/** @throws {TufError} when the build is listed already */
export async function addStage0Build(input: {
  current: TrustedMetadata;
  build: Stage0Listing;
  signers: OnlineSigners & { stage0: readonly Signer[] };
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { build: listing, signers } = input;
  const { build, architecture, authenticodeSha256, pcr11 } = listing;
  return addTarget({
    ...input,
    role: STAGE0_ROLE,
    target: listing.target,
    entry: targetObject(listing, { build, architecture, authenticodeSha256, pcr11 }),
    signers: { ...signers, role: signers.stage0 },
  });
}

/** Signs snapshot and timestamp once more: the daily proof that the repository is alive. */
export async function refreshRepository(input: {
  current: TrustedMetadata;
  signers: OnlineSigners;
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, signers, expiry } = input;
  return signOnline({ roles: [], before: current, signers, expiresMs: expiry.onlineMs });
}

/** Signs everything once more, the root too, before the long-lived roles expire. No key changes. */
export async function renewRepository(input: {
  current: TrustedMetadata;
  signers: RepositorySigners;
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, signers, expiry } = input;
  const next = (version: number) => ({ version: version + 1, expiresMs: expiry.offlineMs });
  const { root, targets } = current;
  const newRoot = await signMetadata('root', renewed(root.signed, next(root.version)), signers.root);
  const roles = [
    await signRole(
      'targets',
      renewed(targets.signed, next(targets.version)),
      targets.version + 1,
      signers.targets,
    ),
  ];
  for (const { delegation, metadata } of current.delegated) {
    const keys = delegation.kind === 'stage0' ? signers.stage0 : signers.channels.get(delegation.channel);
    const signed = renewed(metadata.signed, next(metadata.version));
    roles.push(await signRole(delegation.role, signed, metadata.version + 1, keys ?? []));
  }
  const online = await signOnline({ roles, before: current, signers, expiresMs: expiry.onlineMs });
  return [{ name: rootFile(root.version + 1), bytes: newRoot }, ...roles, ...online];
}

/**
 * Nothing is written that a client would not accept: judges the repository as it will be, against what it
 * was.
 *
 * @throws {TufError}
 */
export function verifyChange(input: {
  trustedRoot: Uint8Array;
  files: ReadonlyMap<string, Uint8Array>;
  change: RepositoryChange;
  nowMs: number;
}): void {
  const files = new Map(input.files);
  for (const { name, bytes } of input.change) files.set(name, bytes);
  verifyRepository({ trustedRoot: input.trustedRoot, files, nowMs: input.nowMs });
}

interface SignedRole extends MetadataFile {
  readonly role: string;
  readonly version: number;
}

async function addTarget(input: {
  current: TrustedMetadata;
  role: string;
  target: string;
  entry: JsonObject;
  signers: OnlineSigners & { role: readonly Signer[] };
  expiry: Expiry;
}): Promise<RepositoryChange> {
  const { current, role, target, entry, signers, expiry } = input;
  const metadata = current.delegated.find(({ delegation }) => delegation.role === role)?.metadata;
  if (metadata === undefined)
    throw new TufError('tuf-delegation-invalid', `the repository has no role ${role}`);
  if (Object.hasOwn(metadata.targets, target))
    throw new TufError('tuf-target-invalid', `${target} is listed already: what is released never changes`);
  const version = metadata.version + 1;
  const targets = { ...metadata.targets, [target]: entry };
  const signed = composeDelegated({ version, expiresMs: expiry.offlineMs }, targets);
  const roles = [await signRole(role, signed, version, signers.role)];
  const online = await signOnline({ roles, before: current, signers, expiresMs: expiry.onlineMs });
  return [...roles, ...online];
}

async function signRole(
  role: string,
  signed: JsonObject,
  version: number,
  signers: readonly Signer[],
): Promise<SignedRole> {
  const bytes = await signMetadata('targets', signed, signers);
  return { role, version, name: versionedFile(role, version), bytes };
}

/** The snapshot of the roles as they are with these changes, and the timestamp of that snapshot. */
async function signOnline(input: {
  roles: readonly SignedRole[];
  before: TrustedMetadata | undefined;
  signers: OnlineSigners;
  expiresMs: number;
}): Promise<readonly MetadataFile[]> {
  const { roles, before, signers, expiresMs } = input;
  const meta = new Map<string, MetaFile>();
  for (const [file, metaFile] of before?.snapshot.meta ?? []) meta.set(file.replace(/\.json$/, ''), metaFile);
  for (const { role, version, bytes } of roles) meta.set(role, { version, ...referenceOf(bytes) });
  const snapshotVersion = (before?.snapshot.version ?? 0) + 1;
  const timestampVersion = (before?.timestamp.version ?? 0) + 1;
  const snapshot = await signMetadata(
    'snapshot',
    composeSnapshot({ version: snapshotVersion, expiresMs }, meta),
    signers.snapshot,
  );
  const listed = { version: snapshotVersion, ...referenceOf(snapshot) };
  const timestamp = await signMetadata(
    'timestamp',
    composeTimestamp({ version: timestampVersion, expiresMs }, listed),
    signers.timestamp,
  );
  return [
    { name: versionedFile('snapshot', snapshotVersion), bytes: snapshot },
    { name: 'timestamp.json', bytes: timestamp },
  ];
}

function keyringOf(signers: readonly Signer[]) {
  return { keys: signers.map(({ key }) => key), threshold: signers.length };
}

function targetObject(
  { length, sha256 }: { length: number; sha256: string },
  custom: JsonObject,
): JsonObject {
  return { length, hashes: { sha256 }, custom };
}
