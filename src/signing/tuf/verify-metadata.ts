import { bytesEqual, fromHex } from '../../core/bytes.ts';
import { ArtifactError, verifyArtifact } from '../artifact.ts';
import type { UntrustedEnvelope } from './envelope.ts';
import { TufError } from './errors.ts';
import {
  type MetaFile,
  parseSnapshot,
  parseTimestamp,
  type SnapshotMetadata,
  type TimestampMetadata,
} from './meta-files.ts';
import { type RootMetadata, rootFile, TOP_LEVEL_ROLES, verifyRootChain } from './root.ts';
import { forgetRotated } from './rotation.ts';
import { verifyThreshold } from './signatures.ts';
import { requireNotSignedEarlier, requireSignedBefore } from './signed-at.ts';
import {
  type DelegatedMetadata,
  type Delegation,
  parseDelegated,
  parseTargets,
  type TargetsMetadata,
} from './targets.ts';

/** What was accepted of a role before: nothing older, and nothing else of the same version. */
export interface SeenMetadata {
  readonly version: number;
  readonly sha256: string;
  /** The timestamp's own time, where it had one. */
  readonly signedAtSeconds?: number;
}

export interface MetadataInput {
  /** The root that trust starts from, obtained beforehand (5.2). */
  readonly trustedRoot: Uint8Array;
  /** Metadata by file name, as served: `2.root.json`, `timestamp.json`, `7.channel-demo.json`. */
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** 5.1: one moment for the whole check. */
  readonly nowMs: number;
  /** By role name. */
  readonly previous?: ReadonlyMap<string, SeenMetadata>;
  /** Delegated roles whose files are at hand; all of them unless told. */
  readonly delegatedRoles?: ReadonlySet<string>;
}

export interface DelegatedRole {
  readonly delegation: Delegation;
  readonly metadata: DelegatedMetadata;
}

/** Metadata whose every signature, version, length, hash and expiry has been checked. */
export interface TrustedMetadata {
  /** From the trusted root to the one in force, which is also {@link root}. */
  readonly rootChain: readonly RootMetadata[];
  readonly root: RootMetadata;
  readonly timestamp: TimestampMetadata;
  readonly snapshot: SnapshotMetadata;
  readonly targets: TargetsMetadata;
  readonly delegated: readonly DelegatedRole[];
}

/**
 * The client workflow of the TUF specification 1.0, section 5, over files that are already at hand. All
 * delegated roles are checked, not only one that some target asks for, unless `delegatedRoles` says which.
 *
 * @throws {TufError}
 */
export function verifyMetadata(input: MetadataInput): TrustedMetadata {
  const rootChain = verifyRootChain(input.trustedRoot, input.files); // 5.2, 5.3.1 to 5.3.9
  const previous = forgetRotated(rootChain, input.previous ?? new Map()); // 5.3.11
  const seen: Seen = { nowMs: input.nowMs, previous };
  const root = rootChain.at(-1) ?? rootChain[0];
  requireFresh(root, seen); // 5.3.10
  const timestamp = verifyTimestamp(root, input.files, seen); // 5.4
  const snapshot = verifySnapshot({ root, timestamp, files: input.files, seen }); // 5.5
  const targets = verifyTargets({ root, snapshot, files: input.files, seen }); // 5.6
  const delegated = targets.delegations
    .filter(({ role }) => input.delegatedRoles?.has(role) ?? true)
    .map((delegation) => verifyDelegated({ delegation, targets, snapshot, files: input.files, seen }));
  requireSnapshotExact(snapshot, targets, seen);
  return { rootChain, root, timestamp, snapshot, targets, delegated };
}

type Files = ReadonlyMap<string, Uint8Array>;

interface Seen {
  readonly nowMs: number;
  readonly previous: ReadonlyMap<string, SeenMetadata>;
}

function verifyTimestamp(root: RootMetadata, files: Files, seen: Seen): TimestampMetadata {
  const timestamp = parseTimestamp(requireFile(files, 'timestamp.json')); // 5.4.1
  verifyThreshold(timestamp, root.rules.timestamp, root.keys); // 5.4.2
  requireFresh(timestamp, seen); // 5.4.3.1, 5.4.4; 5.4.3.2 is seen again when the snapshot is read
  requireSignedBefore(timestamp.signedAtSeconds, root);
  requireNotSignedEarlier(timestamp.signedAtSeconds, seen.previous.get('timestamp')?.signedAtSeconds);
  return timestamp;
}

function verifySnapshot(input: {
  root: RootMetadata;
  timestamp: TimestampMetadata;
  files: Files;
  seen: Seen;
}): SnapshotMetadata {
  const { root, timestamp, files, seen } = input;
  const listed = timestamp.snapshot;
  const bytes = requireFile(files, versionedFile('snapshot', listed.version)); // 5.5.1
  const snapshot = parseSnapshot(bytes);
  requireAsListed(snapshot, listed); // 5.5.2, 5.5.4
  verifyThreshold(snapshot, root.rules.snapshot, root.keys); // 5.5.3
  requireFresh(snapshot, seen); // 5.5.6, and our own rule against rollback
  return snapshot;
}

function verifyTargets(input: {
  root: RootMetadata;
  snapshot: SnapshotMetadata;
  files: Files;
  seen: Seen;
}): TargetsMetadata {
  const { root, snapshot, files, seen } = input;
  const listed = requireListed(snapshot, 'targets');
  const targets = parseTargets(requireFile(files, versionedFile('targets', listed.version))); // 5.6.1
  requireAsListed(targets, listed); // 5.6.2, 5.6.4
  verifyThreshold(targets, root.rules.targets, root.keys); // 5.6.3
  requireFresh(targets, seen); // 5.6.5, 5.5.5
  return targets;
}

/** 5.6.7: steps 5.6.1 to 5.6.6 again, with the delegating role's keys. */
function verifyDelegated(input: {
  delegation: Delegation;
  targets: TargetsMetadata;
  snapshot: SnapshotMetadata;
  files: Files;
  seen: Seen;
}): DelegatedRole {
  const { delegation, targets, snapshot, files, seen } = input;
  const { role, rule } = delegation;
  const listed = requireListed(snapshot, role);
  const metadata = parseDelegated(role, requireFile(files, versionedFile(role, listed.version)));
  requireAsListed(metadata, listed);
  verifyThreshold(metadata, rule, targets.keys);
  requireFresh(metadata, seen);
  return { delegation, metadata };
}

export function versionedFile(role: string, version: number): string {
  return role === 'root' ? rootFile(version) : `${version}.${role}.json`;
}

function requireFile(files: Files, name: string): Uint8Array {
  const bytes = files.get(name);
  if (bytes === undefined) throw new TufError('tuf-file-missing', `${name} is missing`);
  return bytes;
}

function requireListed(snapshot: SnapshotMetadata, role: string): MetaFile {
  const listed = snapshot.meta.get(`${role}.json`);
  if (listed === undefined) throw new TufError('tuf-file-missing', `snapshot does not list ${role}.json`);
  return listed;
}

function requireAsListed(metadata: UntrustedEnvelope, listed: MetaFile): void {
  try {
    verifyArtifact(listed, metadata.file);
  } catch (cause) {
    if (!(cause instanceof ArtifactError)) throw cause;
    const code = cause.code === 'artifact-length-mismatch' ? 'tuf-length-mismatch' : 'tuf-hash-mismatch';
    throw new TufError(code, `${metadata.role}.json: ${cause.message}`, { cause });
  }
  if (metadata.version !== listed.version)
    throw new TufError(
      'tuf-version-mismatch',
      `${metadata.role}.json is version ${metadata.version}, listed is ${listed.version}`,
    );
}

/** Not older than what was seen, not another file of the same version, not expired. */
function requireFresh(metadata: UntrustedEnvelope, { nowMs, previous }: Seen): void {
  const { role, version, expiresMs, file } = metadata;
  const before = previous.get(role);
  if (before !== undefined && version < before.version)
    throw new TufError('tuf-rollback', `${role} is version ${version}, version ${before.version} was seen`);
  if (before?.version === version && !bytesEqual(fromHex(file.sha256), fromHex(before.sha256)))
    throw new TufError('tuf-equivocation', `${role} version ${version} was seen with other bytes`);
  if (expiresMs <= nowMs)
    throw new TufError('tuf-expired', `${role} expired at ${new Date(expiresMs).toISOString()}`);
}

/** 5.5.5: no role disappears from the snapshot; and it names no file that nothing delegates to. */
function requireSnapshotExact(snapshot: SnapshotMetadata, targets: TargetsMetadata, seen: Seen): void {
  const delegated = targets.delegations.map(({ role }) => role);
  const files = new Set(['targets', ...delegated].map((role) => `${role}.json`));
  const stray = [...snapshot.meta.keys()].find((file) => !files.has(file));
  if (stray !== undefined)
    throw new TufError('tuf-delegation-invalid', `snapshot lists ${stray}, which no role delegates`);
  const roles = new Set<string>([...TOP_LEVEL_ROLES, ...delegated]);
  const gone = [...seen.previous.keys()].find((role) => !roles.has(role));
  if (gone !== undefined) throw new TufError('tuf-rollback', `${gone} was seen before and is gone`);
}
