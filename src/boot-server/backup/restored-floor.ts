import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from '../../core/durable-file.ts';
import { readIfThere } from '../../core/errno.ts';
import {
  encodeServedFloor,
  parseServedFloor,
  SERVED_FLOOR_FILE,
} from '../../signing/repository/served-floor.ts';
import type { SeenRoles } from '../../signing/tuf/seen-metadata.ts';
import { differenceFromServed, type StoredRepository } from '../services/set-back.ts';
import { BackupError } from './backup-error.ts';

/** What the restored database is held against. */
export interface FloorSources {
  readonly staging: string;
  readonly dataDir: string;
  /** A file that was kept elsewhere. */
  readonly servedFloor?: string;
  /** What the replaced database says of it. */
  readonly served: SeenRoles | undefined;
}

interface KnownFloor {
  readonly where: string;
  readonly roles: SeenRoles;
}

/**
 * The floor that the restored state starts with: what the database has, or the highest that anybody knows.
 *
 * @returns a sentence when the database is below it
 * @throws {BackupError} `backup-older-than-served`, unless it is to be published later; `floors-contradict`
 */
export async function settleFloor(
  stored: StoredRepository,
  { publishLater, ...sources }: FloorSources & { publishLater: boolean },
): Promise<string | undefined> {
  const known = await knownFloors(sources);
  const above = known.filter(({ roles }) => differenceFromServed(stored, roles) !== undefined);
  const highest = above.toSorted((one, other) => compareFloors(other.roles, one.roles))[0];
  const floor = highest ? withRootOf(stored, highest.roles) : stored?.roles;
  if (highest) for (const other of known) requireAtOrAbove(highest, other);
  if (floor !== undefined) {
    const path = join(sources.staging, SERVED_FLOOR_FILE);
    await writeFileDurably({ path, contents: encodeServedFloor(floor), replace: true });
  }
  if (highest === undefined) return undefined;
  const difference = differenceFromServed(stored, highest.roles) ?? '';
  if (publishLater) return difference;
  throw new BackupError(
    'backup-older-than-served',
    `the backup is older than what was served (${difference}): nothing was restored. Take a newer backup; or restore it with --publish-later and publish the current metadata, before which nothing is served`,
  );
}

async function knownFloors(sources: FloorSources): Promise<readonly KnownFloor[]> {
  const { staging, dataDir, servedFloor, served } = sources;
  const folderFile = join(dataDir, SERVED_FLOOR_FILE);
  const found = [
    { where: `${SERVED_FLOOR_FILE} of the backup`, roles: await loadFloor(join(staging, SERVED_FLOOR_FILE)) },
    { where: folderFile, roles: await loadFloor(folderFile) },
    { where: join(dataDir, 'state.db'), roles: served },
  ];
  if (servedFloor !== undefined)
    found.push({ where: servedFloor, roles: parseServedFloor(await readFile(servedFloor), servedFloor) });
  return found.flatMap(({ where, roles }) => (roles === undefined ? [] : [{ where, roles }]));
}

async function loadFloor(path: string): Promise<SeenRoles | undefined> {
  const bytes = await readIfThere(path);
  return bytes && parseServedFloor(bytes, path);
}

/** Root first: a newer one may have given timestamp other keys, which begin anew (5.3.11). */
function compareFloors(one: SeenRoles, other: SeenRoles): number {
  return (
    versionOf(one, 'root') - versionOf(other, 'root') ||
    versionOf(one, 'timestamp') - versionOf(other, 'timestamp')
  );
}

function versionOf(roles: SeenRoles, role: string): number {
  return roles.get(role)?.version ?? 0;
}

/** The database may be older in one role and newer in root: its root is not given up. */
function withRootOf(stored: StoredRepository, floor: SeenRoles): SeenRoles {
  const root = stored?.roles.get('root');
  if (root === undefined || root.version <= versionOf(floor, 'root')) return floor;
  return new Map([...floor, ['root', root]]);
}

/** Under one root no role goes back and none has two contents: whoever says otherwise tells of another history. */
function requireAtOrAbove(highest: KnownFloor, other: KnownFloor): void {
  if (versionOf(other.roles, 'root') !== versionOf(highest.roles, 'root')) return;
  for (const [role, { version, sha256 }] of other.roles) {
    const own = highest.roles.get(role);
    if (own === undefined || own.version > version || (own.version === version && own.sha256 === sha256))
      continue;
    throw new BackupError(
      'floors-contradict',
      `${highest.where} and ${other.where} contradict each other: ${role} is version ${own.version} (SHA-256 ${own.sha256}) in one and version ${version} (${sha256}) in the other, so that neither is newer. Nothing was restored: find out which of them is yours, and move the other away`,
    );
  }
}
