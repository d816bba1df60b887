import type { JsonObject } from '../../core/strict-json.ts';
import { channelPattern, channelRole, STAGE0_PATTERN, STAGE0_ROLE } from '../names.ts';
import { keyIdOf, type TufKey } from '../public-key.ts';
import { formatExpires, SIGNED_AT_FIELD } from './envelope.ts';
import type { MetaFile } from './meta-files.ts';
import { GRANT_KEYS_FIELD, TOP_LEVEL_ROLES, type TopLevelRole } from './root.ts';

// The "signed" part of each metadata file (specification 1.0, sections 4.3 to 4.6).

export interface MetadataVersion {
  readonly version: number;
  readonly expiresMs: number;
}

/** Keys of a role, and how many of them must sign. */
export interface RoleKeyring {
  readonly keys: readonly TufKey[];
  readonly threshold: number;
}

const SPEC_VERSION = '1.0.31';

export function composeRoot(
  at: MetadataVersion,
  roles: Readonly<Record<TopLevelRole, RoleKeyring>>,
  grantKeys: readonly TufKey[],
): JsonObject {
  return {
    ...commonFields('root', at),
    consistent_snapshot: true,
    keys: keysObject(TOP_LEVEL_ROLES.flatMap((role) => roles[role].keys)),
    roles: Object.fromEntries(TOP_LEVEL_ROLES.map((role) => [role, roleObject(roles[role])])),
    [GRANT_KEYS_FIELD]: keysObject(grantKeys),
  };
}

export function composeTargets(
  at: MetadataVersion,
  delegates: { stage0: RoleKeyring; channels: ReadonlyMap<string, RoleKeyring> },
): JsonObject {
  const { stage0, channels } = delegates;
  const keys = [...channels.values(), stage0].flatMap((keyring) => keyring.keys);
  const roles = [...channels].map(([channel, keyring]) =>
    delegation({ name: channelRole(channel), pattern: channelPattern(channel), keyring }),
  );
  roles.push(delegation({ name: STAGE0_ROLE, pattern: STAGE0_PATTERN, keyring: stage0 }));
  return {
    ...commonFields('targets', at),
    targets: {},
    delegations: { keys: keysObject(keys), roles },
  };
}

export function composeDelegated(at: MetadataVersion, targets: JsonObject): JsonObject {
  return { ...commonFields('targets', at), targets };
}

/** @param meta by role */
export function composeSnapshot(at: MetadataVersion, meta: ReadonlyMap<string, MetaFile>): JsonObject {
  const files = [...meta].map(([role, file]) => [`${role}.json`, metaObject(file)] as const);
  return { ...commonFields('snapshot', at), meta: Object.fromEntries(files) };
}

/** @param signedAtSeconds what we write always has it; what was written before had none */
export function composeTimestamp(
  at: MetadataVersion,
  snapshot: MetaFile,
  signedAtSeconds?: number,
): JsonObject {
  return {
    ...commonFields('timestamp', at),
    meta: { 'snapshot.json': metaObject(snapshot) },
    ...(signedAtSeconds !== undefined && { [SIGNED_AT_FIELD]: signedAtSeconds }),
  };
}

/** The same metadata once more, as the next version. */
export function renewed(signed: JsonObject, at: MetadataVersion): JsonObject {
  return { ...signed, version: at.version, expires: formatExpires(at.expiresMs) };
}

function commonFields(type: string, { version, expiresMs }: MetadataVersion): JsonObject {
  return { _type: type, spec_version: SPEC_VERSION, version, expires: formatExpires(expiresMs) };
}

function keysObject(keys: readonly TufKey[]): JsonObject {
  return Object.fromEntries(
    keys.map(({ keytype, scheme, keyval }) => [
      keyIdOf({ keytype, scheme, keyval }),
      { keytype, scheme, keyval: { public: keyval.public } },
    ]),
  );
}

function roleObject({ keys, threshold }: RoleKeyring): JsonObject {
  return { keyids: keys.map(keyIdOf), threshold };
}

function delegation(input: { name: string; pattern: string; keyring: RoleKeyring }): JsonObject {
  const { name, pattern, keyring } = input;
  return { name, ...roleObject(keyring), paths: [pattern], terminating: true };
}

function metaObject({ version, length, sha256 }: MetaFile): JsonObject {
  return { version, length, hashes: { sha256 } };
}
