import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { JsonObject, JsonValue } from '../../core/strict-json.ts';
import { isScheme, type TufKey } from '../public-key.ts';
import { readTufKey } from '../read-tuf-key.ts';
import { invalid, requireObject } from './envelope.ts';
import { TufError } from './errors.ts';
import { MAX_KEYS } from './limits.ts';

/** Keys by key id; `undefined` for a key of a type that we don't know: it can sign, but counts for nothing. */
export type RoleKeys = ReadonlyMap<string, TufKey | undefined>;

/** Who may sign a role, and how many of them must (section 4.3, "roles"). */
export interface RoleRule {
  readonly keyIds: readonly string[];
  readonly threshold: number;
}

/**
 * Every key stands under its own id, the SHA-256 of its canonical form, so that one key cannot appear
 * under two names.
 */
export function parseKeys(value: JsonValue | undefined, what: string): RoleKeys {
  const object = requireObject(value, what);
  const entries = Object.entries(object);
  if (entries.length > MAX_KEYS) invalid(`${what} has more than ${MAX_KEYS} keys`);
  return new Map(entries.map(([keyId, key]) => [keyId, parseKey(keyId, key, what)]));
}

function parseKey(keyId: string, value: JsonValue, what: string): TufKey | undefined {
  const key = requireObject(value, `${what}: key ${keyId}`);
  if (toHex(sha256(asciiBytes(canonicalize(key)))) !== keyId)
    invalid(`${what}: key ${keyId} is not the key of that id`);
  requireObject(key.keyval, `${what}: "keyval" of key ${keyId}`);
  if (typeof key.keytype !== 'string' || !isScheme(key.scheme)) return undefined;
  try {
    return readTufKey(key);
  } catch (cause) {
    return invalid(`${what}: key ${keyId}: ${messageOf(cause)}`);
  }
}

/**
 * Stricter than TUF, which lets a threshold exceed the number of keys: such a role could never be signed.
 *
 * @throws {TufError} `tuf-role-invalid`
 */
export function parseRoleRule(object: JsonObject, keys: RoleKeys, role: string): RoleRule {
  const { keyids, threshold } = object;
  if (!Array.isArray(keyids) || !keyids.every((id) => typeof id === 'string'))
    return roleInvalid(`${role}: "keyids" is not a list of strings`);
  if (new Set(keyids).size !== keyids.length) roleInvalid(`${role}: a key id appears twice`);
  const unknown = keyids.find((id) => !keys.has(id));
  if (unknown !== undefined) roleInvalid(`${role}: key ${unknown} is not among the keys`);
  if (!Number.isSafeInteger(threshold)) return roleInvalid(`${role}: "threshold" is not an integer`);
  const count = threshold as number;
  if (count < 1 || count > keyids.length)
    roleInvalid(`${role}: a threshold of ${count} with ${keyids.length} keys`);
  return { keyIds: keyids, threshold: count };
}

function roleInvalid(message: string): never {
  throw new TufError('tuf-role-invalid', message);
}
