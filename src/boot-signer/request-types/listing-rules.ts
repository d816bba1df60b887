import { canonicalize } from '@tufjs/canonical-json';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { refuse } from '../errors.ts';
import type { SignedMemory } from './request-type.ts';

/**
 * What is listed never changes, in no member: it can be withdrawn. Then its number is used up, for the same
 * content as for another: whoever withdrew it had a reason.
 *
 * @param targets as the metadata has them, by target name
 * @throws {RefusedError} `release-changed`, `release-withdrawn`
 */
export function requireUnchanged(targets: JsonObject, last: SignedMemory | undefined): void {
  for (const [target, entry] of Object.entries(targets)) {
    const was = last?.ever[target];
    if (last === undefined || was === undefined) continue;
    if (!isSameEntry(was, entry))
      refuse(
        'release-changed',
        `${target} was listed as ${canonicalize(was)}: give what is new a new number`,
      );
    if (!Object.hasOwn(last.remembered, target))
      refuse('release-withdrawn', `${target} was withdrawn: give it a new number to list it again`);
  }
}

/** Targets that were listed and are known to the last member. */
export function whollyKnown(last: SignedMemory | undefined): ReadonlySet<string> {
  return new Set(Object.keys(last?.ever ?? {}).filter((target) => isJsonObject(last?.ever[target])));
}

/** @param was a string is what states of format 1 know of a target: its SHA-256 */
function isSameEntry(was: JsonValue, entry: JsonValue): boolean {
  if (isJsonObject(was)) return canonicalize(was) === canonicalize(entry);
  const hashes = isJsonObject(entry) ? entry.hashes : undefined;
  return isJsonObject(hashes) && hashes.sha256 === was;
}
