import type { ReleaseStore } from '../../releases/release-store.ts';
import type { ServedFloor } from '../../signing/repository/served-floor.ts';
import { TufError } from '../../signing/tuf/errors.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import { verifyRepository } from '../../signing/tuf/verify-repository.ts';
import type { AgentsApp, FirmwareApp } from '../doors.ts';
import { Problem } from '../problems.ts';
import { lowestRoot } from './lowest-root.ts';
import type { RepositoryService } from './repository.ts';

type Verification = Parameters<typeof verifyRepository>[0];

/** What is in the database, as it is verified; undefined when it holds nothing. */
export type StoredRepository = { readonly verification: Verification; readonly roles: SeenRoles } | undefined;

/**
 * Holds the database against what this server has served before, by the rules of a client. The floor is
 * raised to what the database has, before any of it is served.
 *
 * @param taken is told when there was no floor to hold it against
 * @returns a sentence when the database is older
 */
export async function compareWithServed(
  stored: StoredRepository,
  floor: ServedFloor,
  taken: (roles: SeenRoles) => Promise<void>,
): Promise<string | undefined> {
  const served = await floor.load();
  if (served === undefined) {
    if (stored === undefined) return undefined;
    await taken(stored.roles);
    await floor.save(stored.roles);
    return undefined;
  }
  const difference = differenceFromServed(stored, served);
  if (difference !== undefined) return describe(difference);
  if (stored !== undefined) await floor.save(stored.roles);
  return undefined;
}

/** In what a database is older than what was served, by the rules of a client that has seen it. */
export function differenceFromServed(stored: StoredRepository, served: SeenRoles): string | undefined {
  if (stored === undefined) return 'it holds nothing that was published';
  try {
    verifyRepository({ ...stored.verification, previous: served });
    return undefined;
  } catch (error) {
    if (error instanceof TufError) return error.message;
    throw error;
  }
}

type StoredMetadata = Awaited<ReturnType<ReleaseStore['loadMetadata']>>;

/**
 * Checked as of the day it was published: expiry since then is for nodes to refuse.
 *
 * @throws {TufError}
 */
export function storedRepository(stored: StoredMetadata, pinnedRoot?: Uint8Array): StoredRepository {
  if (stored === undefined) return undefined;
  const files = new Map(stored.files.map(({ name, bytes }) => [name, bytes]));
  const trustedRoot = pinnedRoot ?? lowestRoot(files);
  const verification = { trustedRoot, files, nowMs: stored.publishedAtSeconds * 1000 };
  return { verification, roles: verifyRepository(verification).roles };
}

function describe(difference: string): string {
  return `database-older-than-served: the database is older than what this server has served (${difference}): publish the current metadata ("boot-sign publish"), or restore a newer backup. Until then nothing is served to machines`;
}

/** Machines get nothing from a database that was set back, not even metadata; operators can repair it. */
export function refuseWhenSetBack(app: AgentsApp | FirmwareApp, repository: RepositoryService): void {
  const host = app as FirmwareApp;
  host.addHook('onRequest', async ({ url }) => {
    const sentence = repository.setBack();
    if (sentence === undefined || url === '/healthz' || url === '/readyz') return;
    throw new Problem('database-older-than-served', 'an operator has to repair the database of this server', {
      headers: { 'retry-after': '60' },
    });
  });
}
