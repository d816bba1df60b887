import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, sha256, toHex } from '../core/bytes.ts';
import type { JsonObject } from '../core/strict-json.ts';
import type { UntrustedEnvelope } from '../signing/tuf/envelope.ts';
import { parseReleases, parseStage0Builds } from '../signing/tuf/listings.ts';
import { parseSnapshot } from '../signing/tuf/meta-files.ts';
import { parseDelegated } from '../signing/tuf/targets.ts';
import type { TrustedMetadata } from '../signing/tuf/verify-metadata.ts';
import { rememberTimestamp } from './request-types/signed-at-rules.ts';
import { rememberDelegations, rememberVersions } from './request-types/version-rules.ts';

/**
 * Verified metadata as the service remembers what it signed itself, by role.
 *
 * @param files all that the repository keeps: what earlier versions listed is remembered as well
 */
export function memoriesOf(trusted: TrustedMetadata, files: ReadonlyMap<string, Uint8Array>): JsonObject {
  const { root, targets, snapshot, timestamp, delegated } = trusted;
  return {
    root: memory(root, {}),
    targets: memory(targets, rememberDelegations(targets)),
    snapshot: memory(snapshot, rememberVersions(snapshot), versionsEver(files)),
    timestamp: memory(timestamp, rememberTimestamp(timestamp)),
    ...Object.fromEntries(
      delegated.map((role) => [
        role.delegation.role,
        memory(role.metadata, listingOf(role), listedEver(role.delegation.role, files)),
      ]),
    ),
  };
}

/** As it is listed: what our reader refuses is no base to go on from. */
function listingOf({ delegation, metadata }: TrustedMetadata['delegated'][number]): JsonObject {
  if (delegation.kind === 'stage0') parseStage0Builds(metadata.targets);
  else parseReleases(delegation.channel, metadata.targets);
  return metadata.targets;
}

/** Old versions are believed only so far that their numbers are taken. */
function listedEver(role: string, files: ReadonlyMap<string, Uint8Array>): JsonObject {
  const listings = filesOf(role, files).map((bytes) => parseDelegated(role, bytes).targets);
  return Object.assign({}, ...listings);
}

function versionsEver(files: ReadonlyMap<string, Uint8Array>): JsonObject {
  const highest: Record<string, number> = {};
  for (const bytes of filesOf('snapshot', files))
    for (const [file, { version }] of parseSnapshot(bytes).meta)
      highest[file] = Math.max(highest[file] ?? 0, version);
  return highest;
}

function filesOf(role: string, files: ReadonlyMap<string, Uint8Array>): readonly Uint8Array[] {
  return [...files]
    .filter(([name]) => /^\d+\.(.*)\.json$/.exec(name)?.[1] === role)
    .map(([, bytes]) => bytes);
}

function memory(
  { version, signed }: UntrustedEnvelope,
  remembered: JsonObject,
  ever: JsonObject = {},
): JsonObject {
  const hash = toHex(sha256(asciiBytes(canonicalize(signed))));
  return { version, sha256: hash, remembered, ever };
}
