import type { JsonObject } from '../../core/strict-json.ts';
import { channelPattern, channelRole, isChannelName, STAGE0_PATTERN, STAGE0_ROLE } from '../names.ts';
import { parseEnvelope, requireObject, type UntrustedEnvelope } from './envelope.ts';
import { TufError } from './errors.ts';
import { MAX_METADATA_BYTES } from './limits.ts';
import { parseKeys, parseRoleRule, type RoleKeys, type RoleRule } from './role-keys.ts';

/** A role of ours: a channel, or the stage-0 builds. There are no others. */
export type Delegation = { readonly role: string; readonly rule: RoleRule } & (
  | { readonly kind: 'channel'; readonly channel: string }
  | { readonly kind: 'stage0' }
);

/** The top-level targets role: it delegates, and lists nothing itself. */
export interface TargetsMetadata extends UntrustedEnvelope {
  readonly keys: RoleKeys;
  readonly delegations: readonly Delegation[];
}

/** A delegated role's file: what it lists is read by `listings.ts` once its signatures are good. */
export interface DelegatedMetadata extends UntrustedEnvelope {
  readonly targets: JsonObject;
}

export function parseTargets(bytes: Uint8Array): TargetsMetadata {
  const envelope = parseEnvelope({
    role: 'targets',
    type: 'targets',
    bytes,
    maxBytes: MAX_METADATA_BYTES.targets,
  });
  const { signed } = envelope;
  if (Object.keys(requireObject(signed.targets, 'targets: "targets"')).length > 0)
    delegationInvalid('targets lists targets of its own: only the channels and stage0 do');
  const delegations = requireObject(signed.delegations, 'targets: "delegations"');
  const keys = parseKeys(delegations.keys, 'targets: delegated "keys"');
  return { ...envelope, keys, delegations: parseDelegations(delegations, keys) };
}

export function parseDelegated(role: string, bytes: Uint8Array): DelegatedMetadata {
  const envelope = parseEnvelope({ role, type: 'targets', bytes, maxBytes: MAX_METADATA_BYTES.delegated });
  const { signed } = envelope;
  if (signed.delegations !== undefined) delegationInvalid(`${role} delegates further`);
  return { ...envelope, targets: requireObject(signed.targets, `${role}: "targets"`) };
}

function parseDelegations(delegations: JsonObject, keys: RoleKeys): readonly Delegation[] {
  const { roles } = delegations;
  if (!Array.isArray(roles)) return delegationInvalid('targets: delegated "roles" is not a list');
  const parsed = roles.map((role) => parseDelegation(requireObject(role, 'targets: a delegation'), keys));
  if (new Set(parsed.map(({ role }) => role)).size !== parsed.length)
    delegationInvalid('targets delegates to one role twice');
  return parsed;
}

function parseDelegation(object: JsonObject, keys: RoleKeys): Delegation {
  const { name, paths, terminating } = object;
  const pattern = Array.isArray(paths) && paths.length === 1 ? paths[0] : undefined;
  if (object.path_hash_prefixes !== undefined || terminating !== true)
    delegationInvalid(`delegation ${JSON.stringify(name)} is not a terminating one by "paths"`);
  if (name === STAGE0_ROLE && pattern === STAGE0_PATTERN)
    return { role: name, kind: 'stage0', rule: parseRoleRule(object, keys, name) };
  const channel = typeof name === 'string' ? name.slice(channelRole('').length) : '';
  if (name !== channelRole(channel) || !isChannelName(channel) || pattern !== channelPattern(channel))
    return delegationInvalid(
      `delegation ${JSON.stringify(name)} of ${JSON.stringify(paths)}: only "channel-<name>" of "channels/<name>/*" and "stage0" of "stage0/*"`,
    );
  return { role: name, kind: 'channel', channel, rule: parseRoleRule(object, keys, name) };
}

function delegationInvalid(message: string): never {
  throw new TufError('tuf-delegation-invalid', message);
}
