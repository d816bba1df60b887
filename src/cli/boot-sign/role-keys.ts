import { InvalidArgumentError } from 'commander';
import { channelRole, isChannelName, STAGE0_ROLE } from '../../signing/names.ts';
import type { RoleKeyring } from '../../signing/tuf/compose.ts';
import type { Keyrings } from '../../signing/tuf/keyrings.ts';
import { TOP_LEVEL_ROLES } from '../../signing/tuf/root.ts';
import { toPositiveInteger } from './options.ts';
import { loadPublicKey } from './public-keys.ts';
import { UsageError } from './usage-error.ts';

/** Whose key may sign what, as it is typed: `channel-demo=alice.pub.json`. */
export interface RoleKeyFile {
  readonly role: string;
  readonly file: string;
}

export type Thresholds = ReadonlyMap<string, number>;

/** Without them there is no repository. */
const REQUIRED_ROLES: readonly string[] = [...TOP_LEVEL_ROLES, STAGE0_ROLE];

/** For an option that may be given more than once. */
export function toRoleKeys(text: string, before: readonly RoleKeyFile[] = []): readonly RoleKeyFile[] {
  const { role, value } = splitRole(text, 'FILE');
  return [...before, { role, file: value }];
}

/** The same. */
export function toThresholds(text: string, before: Thresholds = new Map()): Thresholds {
  const { role, value } = splitRole(text, 'N');
  if (before.has(role)) throw new InvalidArgumentError(`The threshold of ${role} is given twice.`);
  return new Map([...before, [role, toPositiveInteger(value)]]);
}

/**
 * Who may sign what, from public halves alone.
 *
 * @throws {UsageError} when a role has no key, or several and nobody said how many of them must sign
 */
export async function loadKeyrings(files: readonly RoleKeyFile[], thresholds: Thresholds): Promise<Keyrings> {
  const roles = [...new Set([...REQUIRED_ROLES, ...files.map(({ role }) => role), ...thresholds.keys()])];
  const rings = new Map<string, RoleKeyring>();
  for (const role of roles) {
    const keys = await Promise.all(ofRole(files, role).map(({ file }) => loadPublicKey(file)));
    rings.set(role, { keys, threshold: thresholdOf(role, keys.length, thresholds) });
  }
  return rings;
}

function ofRole(files: readonly RoleKeyFile[], role: string): readonly RoleKeyFile[] {
  const own = files.filter((one) => one.role === role);
  if (own.length === 0) throw new UsageError(`${role} has no key: give --key ${role}=FILE`);
  return own;
}

function thresholdOf(role: string, keys: number, thresholds: Thresholds): number {
  const threshold = thresholds.get(role) ?? (keys === 1 ? 1 : undefined);
  if (threshold !== undefined) return threshold;
  throw new UsageError(`${role} has ${keys} keys: say with --threshold ${role}=N how many of them must sign`);
}

function splitRole(text: string, what: string): { role: string; value: string } {
  const [, role = '', value = ''] = /^([a-z0-9-]+)=(.+)$/.exec(text) ?? [];
  const prefix = channelRole('');
  if (REQUIRED_ROLES.includes(role) || (role.startsWith(prefix) && isChannelName(role.slice(prefix.length))))
    return { role, value };
  throw new InvalidArgumentError(
    `It is ROLE=${what}; roles are ${REQUIRED_ROLES.join(', ')} and ${channelRole('NAME')}.`,
  );
}
