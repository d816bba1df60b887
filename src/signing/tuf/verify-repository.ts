import type { ReleaseListing } from '../manifest.ts';
import type { TufKey } from '../public-key.ts';
import type { UntrustedEnvelope } from './envelope.ts';
import { parseReleases, parseStage0Builds, type Stage0Listing } from './listings.ts';
import { rootFile } from './root.ts';
import {
  type MetadataInput,
  type TrustedMetadata,
  verifyMetadata,
  versionedFile,
} from './verify-metadata.ts';

export interface VerifiedRole {
  readonly version: number;
  /** SHA-256 of the file's bytes. */
  readonly sha256: string;
  readonly expiresMs: number;
  /** Of a timestamp that says when it was signed. */
  readonly signedAtSeconds?: number;
  /** The file's name: `timestamp.json`, `7.channel-demo.json`. */
  readonly file: string;
}

/** What a repository's metadata say, once all of it has been verified. */
export interface VerifiedRepository {
  readonly rootVersion: number;
  /** By key id: the keys that challenges and grants are signed with. */
  readonly grantKeys: ReadonlyMap<string, TufKey>;
  /** By role name; give it as `previous` to the next verification. */
  readonly roles: ReadonlyMap<string, VerifiedRole>;
  /** When the first of the roles expires. */
  readonly expiresMs: number;
  /** Every file that took part, roots after the trusted one included: serve these and no others. */
  readonly files: readonly string[];
  /** By channel name; releases by ascending version. */
  readonly channels: ReadonlyMap<string, readonly ReleaseListing[]>;
  /** By ascending build. */
  readonly stage0Builds: readonly Stage0Listing[];
}

/**
 * Decides on a whole repository: pure, time is an argument, files are at hand.
 *
 * @throws {TufError}
 */
export function verifyRepository(input: MetadataInput): VerifiedRepository {
  return repositoryOf(verifyMetadata(input));
}

/** The same of metadata that have been verified already. @throws {TufError} when a listing is none */
export function repositoryOf(trusted: TrustedMetadata): VerifiedRepository {
  const roles = rolesOf(trusted);
  const channels = new Map<string, readonly ReleaseListing[]>();
  let stage0Builds: readonly Stage0Listing[] = [];
  for (const { delegation, metadata } of trusted.delegated) {
    if (delegation.kind === 'stage0') stage0Builds = parseStage0Builds(metadata.targets);
    else channels.set(delegation.channel, parseReleases(delegation.channel, metadata.targets));
  }
  return {
    rootVersion: trusted.root.version,
    grantKeys: trusted.root.grantKeys,
    roles,
    expiresMs: Math.min(...[...roles.values()].map(({ expiresMs }) => expiresMs)),
    files: filesOf(trusted, roles),
    channels,
    stage0Builds,
  };
}

function rolesOf(trusted: TrustedMetadata): ReadonlyMap<string, VerifiedRole> {
  const { root, timestamp, snapshot, targets, delegated } = trusted;
  const all: UntrustedEnvelope[] = [
    root,
    timestamp,
    snapshot,
    targets,
    ...delegated.map(({ metadata }) => metadata),
  ];
  const roles = new Map(all.map((metadata) => [metadata.role, verifiedRole(metadata)]));
  const { signedAtSeconds } = timestamp;
  if (signedAtSeconds !== undefined) roles.set('timestamp', { ...verifiedRole(timestamp), signedAtSeconds });
  return roles;
}

function verifiedRole({ role, version, expiresMs, file }: UntrustedEnvelope): VerifiedRole {
  const name = role === 'timestamp' ? 'timestamp.json' : versionedFile(role, version);
  return { version, expiresMs, sha256: file.sha256, file: name };
}

function filesOf(trusted: TrustedMetadata, roles: ReadonlyMap<string, VerifiedRole>): readonly string[] {
  const roots = trusted.rootChain.map(({ version }) => rootFile(version));
  return [...new Set([...roots, ...[...roles.values()].map(({ file }) => file)])];
}
