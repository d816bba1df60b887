import type { SnapshotMetadata, TimestampMetadata } from '../../signing/tuf/meta-files.ts';
import { refuse } from '../errors.ts';
import type { JudgeInput } from './request-type.ts';

/**
 * How far a role's listed version may run ahead in one step. Who runs versions up to the largest number locks
 * everybody out until root exchanges keys (specification 1.0, section 5.3.11).
 */
const MAX_STEP = 1000;

/** No role is listed lower than before, none disappears but with its delegation, none runs away. */
export function requireSnapshotForward({ meta }: SnapshotMetadata, { last, lastOf }: JudgeInput): void {
  const before = last?.remembered ?? {};
  for (const file of Object.keys(before))
    if (!meta.has(file) && !isDroppable(file))
      refuse('rollback-refused', `snapshot does not list ${file} any more`);
  for (const [file, { version }] of meta) {
    const was = Number(before[file] ?? 0);
    const known = lastOf(file.replace(/\.json$/, ''))?.version ?? 0;
    if (version < was)
      refuse('rollback-refused', `snapshot lists ${file} version ${version}, it listed ${was} before`);
    if (version > Math.max(was, known) + MAX_STEP)
      refuse(
        'rollback-refused',
        `snapshot lists ${file} version ${version}: more than ${MAX_STEP} ahead of ${was}`,
      );
  }
}

/** A channel can be given up with its delegation; targets and stage0 cannot. */
function isDroppable(file: string): boolean {
  return file.startsWith('channel-');
}

/** Nothing but a snapshot that was signed here, when snapshots are, and none older than before. */
export function requireTimestampForward({ snapshot }: TimestampMetadata, { last, lastOf }: JudgeInput): void {
  const was = Number(last?.remembered['snapshot.json'] ?? 0);
  const signed = lastOf('snapshot')?.version;
  const { version } = snapshot;
  if (version < was)
    refuse('rollback-refused', `timestamp names snapshot ${version}, it named ${was} before`);
  const most = signed ?? was + MAX_STEP;
  if (version > most)
    refuse('rollback-refused', `timestamp names snapshot ${version}, the last one is ${most}`);
}
