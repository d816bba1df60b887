import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { invalid, SIGNED_AT_FIELD } from './envelope.ts';
import { GRANT_KEYS_FIELD } from './root.ts';

const COMMON = ['_type', 'expires', 'spec_version', 'version'];
const BY_TYPE: Readonly<Record<string, readonly string[]>> = {
  root: ['consistent_snapshot', 'keys', 'roles', GRANT_KEYS_FIELD],
  timestamp: ['meta', SIGNED_AT_FIELD],
  snapshot: ['meta'],
};
const TOP_LEVEL_TARGETS = ['delegations', 'targets'];
const META_FILE = ['hashes', 'length', 'version'];
const TARGET = ['custom', 'hashes', 'length'];
const DELEGATION = ['keyids', 'name', 'paths', 'terminating', 'threshold'];
const KEY = ['keytype', 'keyval', 'scheme'];

/**
 * TUF readers pass over members that they don't know; what we sign has none, so that nothing is signed
 * that only someone else's reader understands, and nobody signs what no command of ours shows them.
 *
 * @throws {TufError} `tuf-metadata-invalid`
 */
export function requireClosed(role: string, signed: JsonObject): void {
  const own = BY_TYPE[role] ?? (role === 'targets' ? TOP_LEVEL_TARGETS : ['targets']);
  requireMembers(role, signed, [...COMMON, ...own]);
  for (const meta of membersOf(signed.meta)) requireMembers(`${role}: "meta"`, meta, META_FILE);
  for (const target of membersOf(signed.targets)) requireMembers(`${role}: a target`, target, TARGET);
  for (const rule of membersOf(signed.roles))
    requireMembers(`${role}: a role`, rule, ['keyids', 'threshold']);
  const delegations = isJsonObject(signed.delegations) ? signed.delegations : {};
  requireMembers(`${role}: "delegations"`, delegations, ['keys', 'roles']);
  for (const delegation of Array.isArray(delegations.roles) ? delegations.roles : [])
    requireMembers(`${role}: a delegation`, delegation, DELEGATION);
  for (const keys of [signed.keys, delegations.keys, signed[GRANT_KEYS_FIELD]])
    for (const key of membersOf(keys)) requireMembers(`${role}: a key`, key, KEY);
}

function requireMembers(what: string, value: JsonValue, known: readonly string[]): void {
  const members = isJsonObject(value) ? value : invalid(`${what} is not an object`);
  const extra = Object.keys(members).find((member) => !known.includes(member));
  if (extra !== undefined) invalid(`${what} has an unknown member "${extra}"`);
}

function membersOf(value: JsonValue | undefined): JsonValue[] {
  return isJsonObject(value) ? Object.values(value) : [];
}
