import { isVersion } from '../names.ts';
import { invalid, SIGNED_AT_FIELD, type UntrustedEnvelope } from './envelope.ts';
import { TufError } from './errors.ts';

/** @throws {TufError} `tuf-metadata-invalid` when it is no time before the file's own expiry */
export function parseSignedAt({ role, signed, expiresMs }: UntrustedEnvelope): number | undefined {
  const value = signed[SIGNED_AT_FIELD];
  if (value === undefined) return undefined;
  if (!isVersion(value)) return invalid(`${role}: "${SIGNED_AT_FIELD}" is not a time in whole Unix seconds`);
  if (value * 1000 > expiresMs)
    invalid(`${role}: "${SIGNED_AT_FIELD}" is ${timeOf(value)}, later than it expires`);
  return value;
}

/**
 * Whoever has the online keys can push the time of every node forward, but never beyond what root allows.
 *
 * @throws {TufError} `tuf-metadata-invalid`
 */
export function requireSignedBefore(signedAtSeconds: number | undefined, root: UntrustedEnvelope): void {
  if (signedAtSeconds !== undefined && signedAtSeconds * 1000 > root.expiresMs)
    invalid(`timestamp: "${SIGNED_AT_FIELD}" is ${timeOf(signedAtSeconds)}, later than root expires`);
}

/** What two clocks that are both right may differ by. */
const MAX_AHEAD_SECONDS = 60;

/**
 * Nodes never take a lower time again: what a wrong clock signed must not reach them. For who publishes; a node has no
 * clock to say so.
 *
 * @throws {TufError} `tuf-signed-ahead`
 */
export function requireSignedByNow(signedAtSeconds: number | undefined, nowMs: number): void {
  if (signedAtSeconds === undefined || signedAtSeconds * 1000 <= nowMs + MAX_AHEAD_SECONDS * 1000) return;
  throw new TufError(
    'tuf-signed-ahead',
    `timestamp says that it was signed at ${timeOf(signedAtSeconds)}, the clock here says ${new Date(nowMs).toISOString()}: correct the clock that is wrong, then sign anew from the repository as it was published last`,
  );
}

/** @throws {TufError} `tuf-rollback` */
export function requireNotSignedEarlier(
  signedAtSeconds: number | undefined,
  seenSeconds: number | undefined,
): void {
  if (signedAtSeconds === undefined || seenSeconds === undefined || signedAtSeconds >= seenSeconds) return;
  throw new TufError(
    'tuf-rollback',
    `timestamp says that it was signed at ${timeOf(signedAtSeconds)}, one of ${timeOf(seenSeconds)} was seen`,
  );
}

/** For people. */
export function timeOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? `${seconds} seconds` : date.toISOString();
}
