import type { VerifiedRepository } from './verify-repository.ts';

/** How old the proof is that a repository is alive. A node cannot see it: who runs the server must. */
export interface Freshness {
  readonly timestampVersion: number;
  /** Not known of timestamps that do not say when they were signed. */
  readonly signedAtSeconds?: number;
  readonly ageSeconds?: number;
  /** Negative when it has expired. */
  readonly expiresInSeconds: number;
}

export function freshnessOf({ roles }: Pick<VerifiedRepository, 'roles'>, nowMs: number): Freshness {
  const timestamp = roles.get('timestamp');
  if (timestamp === undefined) throw new Error('a verified repository has a timestamp');
  const { version, signedAtSeconds, expiresMs } = timestamp;
  const nowSeconds = Math.floor(nowMs / 1000);
  return {
    timestampVersion: version,
    ...(signedAtSeconds !== undefined && { signedAtSeconds, ageSeconds: nowSeconds - signedAtSeconds }),
    expiresInSeconds: Math.floor(expiresMs / 1000) - nowSeconds,
  };
}

/**
 * A sentence when a refresh has been missed, long before anything expires.
 *
 * @param refreshSeconds how often the timestamp is signed anew and published
 */
export function staleWarning({ ageSeconds }: Freshness, refreshSeconds: number): string | undefined {
  if (ageSeconds === undefined || ageSeconds <= 2 * refreshSeconds) return undefined;
  return `metadata: the timestamp was signed ${lengthOf(ageSeconds)} ago, and a new one is due every ${lengthOf(refreshSeconds)}: see whether it is still signed ("boot-sign refresh", the scheduler of boot-signer) and published`;
}

export function lengthOf(seconds: number): string {
  if (seconds < 2 * 60) return `${seconds} seconds`;
  if (seconds < 2 * 3600) return `${Math.floor(seconds / 60)} minutes`;
  return seconds < 2 * 86_400
    ? `${Math.floor(seconds / 3600)} hours`
    : `${Math.floor(seconds / 86_400)} days`;
}
