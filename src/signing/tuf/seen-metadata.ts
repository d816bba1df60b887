import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { isSha256Hex, isVersion } from '../names.ts';
import type { SeenMetadata } from './verify-metadata.ts';

/** By role name: what was accepted last. */
export type SeenRoles = ReadonlyMap<string, SeenMetadata>;

/** Nothing but what the next verification is held against. */
export function toSeenRoles(roles: SeenRoles): SeenRoles {
  return new Map(
    [...roles].map(([role, { version, sha256, signedAtSeconds }]) => [
      role,
      { version, sha256, ...(signedAtSeconds !== undefined && { signedAtSeconds }) },
    ]),
  );
}

export function encodeSeenRoles(roles: SeenRoles): JsonObject {
  return Object.fromEntries([...toSeenRoles(roles)].map(([role, seen]) => [role, { ...seen }]));
}

/** @throws {Error} in words */
export function parseSeenRoles(value: JsonValue | undefined): SeenRoles {
  if (!isJsonObject(value)) throw new Error('"roles" is not an object');
  return new Map(Object.entries(value).map(([role, seen]) => [role, parseSeen(seen)]));
}

function parseSeen(value: JsonValue): SeenMetadata {
  if (!isJsonObject(value)) throw new Error('a role is not an object');
  const { version, sha256, signedAtSeconds, ...others } = value;
  if (!isVersion(version) || !isSha256Hex(sha256) || Object.keys(others).length > 0)
    throw new Error('a role is not a version and a SHA-256');
  if (signedAtSeconds === undefined) return { version, sha256 };
  if (!isVersion(signedAtSeconds)) throw new Error('"signedAtSeconds" is not a time');
  return { version, sha256, signedAtSeconds };
}
