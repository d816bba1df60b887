import { mkdir } from 'node:fs/promises';
import type { JsonObject } from '../core/strict-json.ts';
import { layoutOf } from '../signing/repository/layout.ts';
import { loadMetadata, trustedMetadata } from '../signing/repository/metadata-folder.ts';
import type { Config } from './config.ts';
import { STATE_FORMAT } from './key-process/state-format.ts';
import { memoriesOf } from './metadata-in-force.ts';
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
    await createState(layout, input.nowMs, { type: 'initialised', format: STATE_FORMAT, roles });
    return Object.keys(roles);
  } finally {
    lock.server.close();
  }
}

async function rolesOf(repository: string): Promise<JsonObject> {
  const stored = await loadMetadata(layoutOf(repository));
  return memoriesOf(trustedMetadata(stored), stored.files);
}
