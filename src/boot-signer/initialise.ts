import { mkdir } from 'node:fs/promises';
import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, sha256, toHex } from '../core/bytes.ts';
import type { JsonObject } from '../core/strict-json.ts';
import { layoutOf } from '../signing/repository/layout.ts';
import { loadMetadata, trustedMetadata } from '../signing/repository/metadata-folder.ts';
import type { UntrustedEnvelope } from '../signing/tuf/envelope.ts';
import { parseReleases, parseStage0Builds } from '../signing/tuf/listings.ts';
import type { TrustedMetadata } from '../signing/tuf/verify-metadata.ts';
import type { Config } from './config.ts';
import { rememberListing } from './request-types/listing-rules.ts';
import { rememberTimestamp } from './request-types/signed-at-rules.ts';
import { createState, lockState, stateLayout } from './state-folder.ts';

/**
 * Begins the memory of a service: with nothing, so that every role starts at version 1, or with the verified
 * metadata of a repository, so that it goes on from there.
 *
 * @throws {SignerStateError} `state-exists`
 */
export async function initialiseState(
  config: Config,
  input: { nowMs: number; repository?: string },
): Promise<readonly string[]> {
  const layout = stateLayout(config.stateDir);
  await mkdir(layout.folder, { recursive: true, mode: 0o700 });
  const lock = await lockState(layout);
  try {
    const roles = input.repository === undefined ? {} : await rolesOf(input.repository);
    await createState(layout, input.nowMs, { type: 'initialised', roles });
    return Object.keys(roles);
  } finally {
    lock.server.close();
  }
}

async function rolesOf(repository: string): Promise<JsonObject> {
  const trusted = trustedMetadata(await loadMetadata(layoutOf(repository)));
  const { root, targets, snapshot, timestamp, delegated } = trusted;
  const versions = Object.fromEntries([...snapshot.meta].map(([file, { version }]) => [file, version]));
  return {
    root: memory(root, {}),
    targets: memory(targets, {}),
    snapshot: memory(snapshot, versions),
    timestamp: memory(timestamp, rememberTimestamp(timestamp)),
    ...Object.fromEntries(
      delegated.map((role) => [role.delegation.role, memory(role.metadata, listingOf(role))]),
    ),
  };
}

function listingOf({ delegation, metadata }: TrustedMetadata['delegated'][number]): JsonObject {
  return rememberListing(
    delegation.kind === 'stage0'
      ? parseStage0Builds(metadata.targets)
      : parseReleases(delegation.channel, metadata.targets),
  );
}

function memory({ version, signed }: UntrustedEnvelope, remembered: JsonObject): JsonObject {
  return { version, sha256: toHex(sha256(asciiBytes(canonicalize(signed)))), remembered };
}
