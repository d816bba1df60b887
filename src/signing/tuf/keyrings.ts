import { channelRole, STAGE0_ROLE } from '../names.ts';
import { isVerifiedByAgents, keyIdOf, keyMaterialOf, type TufKey } from '../public-key.ts';
import type { RoleKeyring } from './compose.ts';
import { TufError } from './errors.ts';
import type { RoleKeys, RoleRule } from './role-keys.ts';
import { type RootMetadata, TOP_LEVEL_ROLES, type TopLevelRole } from './root.ts';
import type { TargetsMetadata } from './targets.ts';
import type { TrustedMetadata } from './verify-metadata.ts';

/** Who may sign what, and how many of them must: by role name, top-level and delegated ones. */
export type Keyrings = ReadonlyMap<string, RoleKeyring>;

/** Roles whose metadata agents don't read: keys that agents cannot verify may count there. */
const SERVER_ROLES: ReadonlySet<string> = new Set([STAGE0_ROLE]);
/** One person, or one service, on both sides of each pair. No other two roles share a key. */
const SHARED: readonly ReadonlySet<string>[] = [
  new Set(['root', 'targets']),
  new Set(['snapshot', 'timestamp']),
];

/** @throws {TufError} `tuf-keys-refused` when a key is of a kind that only a newer boot-sign knows */
export function keyringsOf({ root, targets }: TrustedMetadata): Keyrings {
  return new Map([...topLevelKeyrings(root), ...delegatedKeyrings(targets)]);
}

/** @throws {TufError} as {@link keyringsOf} */
export function topLevelKeyrings({ rules, keys }: RootMetadata): Keyrings {
  return new Map(TOP_LEVEL_ROLES.map((role) => [role, ringOf(role, rules[role], keys)]));
}

/** @throws {TufError} as {@link keyringsOf} */
export function delegatedKeyrings({ delegations, keys }: TargetsMetadata): Keyrings {
  return new Map(delegations.map(({ role, rule }) => [role, ringOf(role, rule, keys)]));
}

export function topLevelOf(keyrings: Keyrings): Readonly<Record<TopLevelRole, RoleKeyring>> {
  return {
    root: keyringFor(keyrings, 'root'),
    timestamp: keyringFor(keyrings, 'timestamp'),
    snapshot: keyringFor(keyrings, 'snapshot'),
    targets: keyringFor(keyrings, 'targets'),
  };
}

export function delegatesOf(keyrings: Keyrings) {
  const prefix = channelRole('');
  const channels = [...keyrings].filter(([role]) => role.startsWith(prefix));
  return {
    stage0: keyringFor(keyrings, STAGE0_ROLE),
    channels: new Map(channels.map(([role, ring]) => [role.slice(prefix.length), ring])),
  };
}

/** @throws {TufError} `tuf-role-invalid` */
export function keyringFor(keyrings: Keyrings, role: string): RoleKeyring {
  const ring = keyrings.get(role);
  if (ring !== undefined) return ring;
  throw new TufError(
    'tuf-role-invalid',
    `there is no role ${role}: there are ${[...keyrings.keys()].join(', ')}`,
  );
}

export function isSameRing(one: RoleKeyring | undefined, other: RoleKeyring): boolean {
  const ids = new Set(one?.keys.map(keyIdOf));
  return (
    one?.threshold === other.threshold &&
    ids.size === other.keys.length &&
    other.keys.every((key) => ids.has(keyIdOf(key)))
  );
}

/**
 * What we never write, whether or not TUF allows it: a threshold that nobody or everybody's copy can meet, a
 * key in two roles that must not fall together, keys that the agents cannot verify where they must.
 *
 * @throws {TufError} `tuf-keys-refused`
 */
export function requireSensible(keyrings: Keyrings): void {
  for (const [role, ring] of keyrings) requireThreshold(role, ring);
  requireVerifiableByNodes(keyrings);
  requireSeparate(keyrings);
}

/**
 * Debian 12's OpenSSL, which stage-0 has, knows no ML-DSA: such a signature counts for nothing there. Roles
 * whose threshold nodes could never see are refused, before a node finds out.
 *
 * @throws {TufError} `tuf-keys-refused`
 */
export function requireVerifiableByNodes(keyrings: Keyrings): void {
  for (const [role, { keys, threshold }] of keyrings) {
    const verifiable = keys.filter(isVerifiedByAgents).length;
    if (verifiable < threshold && !SERVER_ROLES.has(role))
      refuse(`${role}: nodes can verify ${verifiable} of its keys and must see ${threshold} signatures`);
  }
}

function requireThreshold(role: string, { keys, threshold }: RoleKeyring): void {
  const distinct = new Set(keys.map(keyMaterialOf)).size;
  if (distinct !== keys.length) refuse(`${role}: one key is there twice`);
  if (!Number.isSafeInteger(threshold) || threshold < 1 || threshold > distinct)
    refuse(`${role}: ${threshold} of ${distinct} keys is no threshold`);
}

function requireSeparate(keyrings: Keyrings): void {
  const owners = new Map<string, string>();
  for (const [role, { keys }] of keyrings)
    for (const key of keys) {
      const owner = owners.get(keyMaterialOf(key));
      if (owner !== undefined && !SHARED.some((pair) => pair.has(owner) && pair.has(role)))
        refuse(`key ${keyIdOf(key).slice(0, 12)} is in ${owner} and in ${role}: whoever steals it has both`);
      owners.set(keyMaterialOf(key), role);
    }
}

function ringOf(role: string, { keyIds, threshold }: RoleRule, keys: RoleKeys): RoleKeyring {
  return { threshold, keys: keyIds.map((keyId) => keys.get(keyId) ?? unknownKey(role, keyId)) };
}

function unknownKey(role: string, keyId: string): TufKey {
  return refuse(`${role}: key ${keyId.slice(0, 12)} is of a kind that this boot-sign does not know`);
}

function refuse(message: string): never {
  throw new TufError('tuf-keys-refused', message);
}
