import type { JsonValue } from '../../core/strict-json.ts';
import { isVersion } from '../names.ts';
import { invalid, requireObject } from './envelope.ts';
import { TufError } from './errors.ts';

/** By role: the version that a signing service has signed last, whether or not it came into force. */
export type LastSigned = ReadonlyMap<string, number>;

/**
 * How far a signing service may be ahead of what is in force: one number is lost whenever something was
 * signed and not written, and nodes that have seen a high number take no lower one ever again.
 */
export const MAX_STEP = 1000;

/** @param value `lastSigned` of what the service answers for its keys @throws {TufError} */
export function parseLastSigned(value: JsonValue | undefined): LastSigned {
  const what = 'the signing service\'s "lastSigned"';
  const roles = Object.entries(requireObject(value, what));
  return new Map(
    roles.map(([role, last]) => {
      const { version } = requireObject(last, `${what}: ${role}`);
      return [role, isVersion(version) ? version : invalid(`${what}: ${role} has no version`)];
    }),
  );
}

/**
 * The number after what is in force and what was signed: the service signs no other content under a number
 * that it has used.
 *
 * @throws {TufError} `tuf-version-ahead`
 */
export function nextVersion(role: string, inForce: number, lastSigned: LastSigned): number {
  const signed = lastSigned.get(role) ?? 0;
  if (signed <= inForce + MAX_STEP) return Math.max(inForce, signed) + 1;
  throw new TufError(
    'tuf-version-ahead',
    `the signing service says that it has signed ${role} version ${signed}, and version ${inForce} is in force: ` +
      `more than ${MAX_STEP} ahead is not followed. Look in its audit log for what it signed; a service that lies is replaced, with its keys`,
  );
}
