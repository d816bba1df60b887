import type { JsonObject } from '../../core/strict-json.ts';
import { SIGNED_AT_FIELD } from '../../signing/tuf/envelope.ts';
import type { TimestampMetadata } from '../../signing/tuf/meta-files.ts';
import { refuse } from '../errors.ts';
import type { JudgeInput, SignedMemory } from './request-type.ts';

/** How far the clock of whoever asks may run ahead of ours. */
const MAX_AHEAD_SECONDS = 30;

/** The last time is kept when a timestamp of an older boot-sign has none. */
export function rememberTimestamp(
  { snapshot, signedAtSeconds }: TimestampMetadata,
  last?: Pick<SignedMemory, 'remembered'>,
): JsonObject {
  const known = signedAtSeconds ?? last?.remembered[SIGNED_AT_FIELD];
  return { 'snapshot.json': snapshot.version, ...(known !== undefined && { [SIGNED_AT_FIELD]: known }) };
}

/**
 * Nodes take the signed time for their lower bound of time, in their TPM: a time ahead of ours would make
 * them refuse what is good, and nothing takes it back.
 */
export function requireTimeForward(
  { signedAtSeconds }: TimestampMetadata,
  { last, nowMs }: Pick<JudgeInput, 'last' | 'nowMs'>,
): void {
  if (signedAtSeconds === undefined) return;
  const was = Number(last?.remembered[SIGNED_AT_FIELD] ?? 0);
  if (signedAtSeconds < was)
    refuse('rollback-refused', `timestamp says it was signed at ${signedAtSeconds}, the last one at ${was}`);
  if (signedAtSeconds > Math.max(was, Math.floor(nowMs / 1000) + MAX_AHEAD_SECONDS))
    refuse(
      'rollback-refused',
      `timestamp says it was signed at ${signedAtSeconds}, which is not yet: set the clock right`,
    );
}
