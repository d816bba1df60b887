import type { JsonObject } from '../../core/strict-json.ts';
import type { SnapshotMetadata, TimestampMetadata } from '../../signing/tuf/meta-files.ts';
import type { TargetsMetadata } from '../../signing/tuf/targets.ts';
import { refuse } from '../errors.ts';
import type { JudgeInput, SignedMemory } from './request-type.ts';

/**
 * How far a role's listed version may run ahead in one step. Who runs versions up to the largest number locks
 * everybody out until root exchanges keys (specification 1.0, section 5.3.11).
 */
const MAX_STEP = 1000;

/**
 * No role is listed lower than it ever was, also after it was gone for a while; none disappears but with its
 * delegation; none runs away.
 */
export function requireSnapshotForward(snapshot: SnapshotMetadata, { last, lastOf }: JudgeInput): void {
  const { meta } = snapshot;
  for (const file of Object.keys(last?.remembered ?? {}))
    if (!meta.has(file) && !isGivenUp(roleOf(file), snapshot, lastOf('targets')))
      refuse('rollback-refused', `snapshot does not list ${file} any more, and targets did not give it up`);
  for (const [file, { version }] of meta) {
    const was = Number(last?.ever[file] ?? 0);
    const known = lastOf(roleOf(file))?.version ?? 0;
    if (version < was)
      refuse('rollback-refused', `snapshot lists ${file} version ${version}, it listed ${was} before`);
    if (version > Math.max(was, known) + MAX_STEP)
      refuse(
        'rollback-refused',
        `snapshot lists ${file} version ${version}: more than ${MAX_STEP} ahead of ${was}`,
      );
  }
}

/** The targets that this snapshot names was signed here, and delegates the role no more. */
function isGivenUp(role: string, { meta }: SnapshotMetadata, targets: SignedMemory | undefined): boolean {
  const delegations = targets?.remembered[DELEGATIONS];
  return (
    role !== 'targets' &&
    Array.isArray(delegations) &&
    meta.get('targets.json')?.version === targets?.version &&
    !delegations.includes(role)
  );
}

const DELEGATIONS = 'delegations';

/** What a targets file gives to whom, for the snapshots that name it. */
export function rememberDelegations({ delegations }: TargetsMetadata): JsonObject {
  return { [DELEGATIONS]: delegations.map(({ role }) => role) };
}

export function rememberVersions({ meta }: SnapshotMetadata): JsonObject {
  return Object.fromEntries([...meta].map(([file, { version }]) => [file, version]));
}

function roleOf(file: string): string {
  return file.replace(/\.json$/, '');
}

/** Nothing but a snapshot that was signed here, when snapshots are, and none older than before. */
export function requireTimestampForward({ snapshot }: TimestampMetadata, { last, lastOf }: JudgeInput): void {
  const was = Number(last?.ever['snapshot.json'] ?? 0);
  const signed = lastOf('snapshot')?.version;
  const { version } = snapshot;
  if (version < was)
    refuse('rollback-refused', `timestamp names snapshot ${version}, it named ${was} before`);
  const most = signed ?? was + MAX_STEP;
  if (version > most)
    refuse('rollback-refused', `timestamp names snapshot ${version}, the last one is ${most}`);
}
