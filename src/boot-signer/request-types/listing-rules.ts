import type { JsonObject } from '../../core/strict-json.ts';
import { refuse } from '../errors.ts';

/** SHA-256 by target name. */
export function rememberListing(listed: readonly { target: string; sha256: string }[]): JsonObject {
  return Object.fromEntries(listed.map(({ target, sha256 }) => [target, sha256]));
}

/** What is listed never changes: it can be withdrawn. */
export function requireUnchanged(
  listed: readonly { target: string; sha256: string }[],
  before: JsonObject,
): void {
  for (const { target, sha256 } of listed) {
    const was = before[target];
    if (was !== undefined && was !== sha256)
      refuse(
        'release-changed',
        `${target} was listed with SHA-256 ${String(was)}: give the new one a new number`,
      );
  }
}
