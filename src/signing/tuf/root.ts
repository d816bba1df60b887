import type { JsonObject } from '../../core/strict-json.ts';
import type { TufKey } from '../public-key.ts';
import { invalid, parseEnvelope, requireObject, type UntrustedEnvelope } from './envelope.ts';
import { TufError } from './errors.ts';
import { MAX_GRANT_KEYS, MAX_METADATA_BYTES, MAX_ROOT_ROTATIONS } from './limits.ts';
import { parseKeys, parseRoleRule, type RoleKeys, type RoleRule } from './role-keys.ts';
import { verifyThreshold } from './signatures.ts';

export const TOP_LEVEL_ROLES = ['root', 'timestamp', 'snapshot', 'targets'] as const;
export type TopLevelRole = (typeof TOP_LEVEL_ROLES)[number];

/** Names the keys that the boot server signs challenges and grants with: docs/protocol.md, "Grant key". */
export const GRANT_KEYS_FIELD = 'x-bootward-grant-keys';

export interface RootMetadata extends UntrustedEnvelope {
  readonly keys: RoleKeys;
  readonly rules: Readonly<Record<TopLevelRole, RoleRule>>;
  readonly grantKeys: ReadonlyMap<string, TufKey>;
}

export const rootFile = (version: number): string => `${version}.root.json`;

/**
 * 5.2 and 5.3: from a root trusted beforehand, one version at a time, each new root signed by the
 * threshold of the one before and by its own. Returns the chain, trusted root first, final root last.
 *
 * @throws {TufError}
 */
export function verifyRootChain(
  trustedRoot: Uint8Array,
  files: ReadonlyMap<string, Uint8Array>,
): readonly [RootMetadata, ...RootMetadata[]] {
  const first = parseRoot(trustedRoot);
  verifyRoot(first, first);
  const rotations = [...followRotations(first, files)];
  requireNoGap((rotations.at(-1) ?? first).version, files);
  return [first, ...rotations];
}

/**
 * 5.3.8: the roots after the trusted one that are trusted from now on, whatever is wrong with the rest: up to
 * the first that is not good.
 */
export function goodRootChain(
  trustedRoot: Uint8Array,
  files: ReadonlyMap<string, Uint8Array>,
): readonly RootMetadata[] {
  const chain: RootMetadata[] = [];
  try {
    const first = parseRoot(trustedRoot);
    verifyRoot(first, first);
    chain.push(first);
    for (const next of followRotations(first, files)) chain.push(next);
  } catch (cause) {
    if (!(cause instanceof TufError)) throw cause;
  }
  return chain;
}

function* followRotations(
  first: RootMetadata,
  files: ReadonlyMap<string, Uint8Array>,
): Generator<RootMetadata> {
  let current = first;
  for (let rotations = 0; ; rotations += 1) {
    // 5.3.2 and 5.3.3: the next version, until there is none
    const bytes = files.get(rootFile(current.version + 1));
    if (bytes === undefined) return;
    if (rotations === MAX_ROOT_ROTATIONS) invalid(`more than ${MAX_ROOT_ROTATIONS} root rotations`);
    current = verifyNextRoot(current, bytes);
    yield current;
  }
}

export function parseRoot(bytes: Uint8Array): RootMetadata {
  const envelope = parseEnvelope({ role: 'root', type: 'root', bytes, maxBytes: MAX_METADATA_BYTES.root });
  const { signed } = envelope;
  if (signed.consistent_snapshot !== true) invalid('root: "consistent_snapshot" is not true');
  const keys = parseKeys(signed.keys, 'root: "keys"');
  return { ...envelope, keys, rules: parseRules(signed, keys), grantKeys: parseGrantKeys(signed) };
}

function verifyNextRoot(current: RootMetadata, bytes: Uint8Array): RootMetadata {
  const next = parseRoot(bytes);
  verifyRoot(next, current); // 5.3.4, by the keys trusted so far
  verifyRoot(next, next); // 5.3.4, by its own keys
  if (next.version !== current.version + 1)
    // 5.3.5
    throw new TufError(
      'tuf-version-mismatch',
      `${rootFile(current.version + 1)} says of itself that it is version ${next.version}`,
    );
  return next;
}

function verifyRoot(root: RootMetadata, trusted: RootMetadata): void {
  verifyThreshold(root, trusted.rules.root, trusted.keys);
}

/** A later root behind a missing one would be ignored in silence: say so instead. */
function requireNoGap(finalVersion: number, files: ReadonlyMap<string, Uint8Array>): void {
  for (const file of files.keys()) {
    const version = Number(/^([1-9]\d{0,15})\.root\.json$/.exec(file)?.[1] ?? 0);
    if (version > finalVersion)
      throw new TufError('tuf-file-missing', `${rootFile(finalVersion + 1)} is missing before ${file}`);
  }
}

function parseRules(signed: JsonObject, keys: RoleKeys): Record<TopLevelRole, RoleRule> {
  const roles = requireObject(signed.roles, 'root: "roles"');
  const rule = (role: TopLevelRole) =>
    parseRoleRule(requireObject(roles[role], `root: role ${role}`), keys, role);
  return {
    root: rule('root'),
    timestamp: rule('timestamp'),
    snapshot: rule('snapshot'),
    targets: rule('targets'),
  };
}

function parseGrantKeys(signed: JsonObject): ReadonlyMap<string, TufKey> {
  const what = `root: "${GRANT_KEYS_FIELD}"`;
  const grantKeys = new Map<string, TufKey>();
  for (const [keyId, key] of parseKeys(signed[GRANT_KEYS_FIELD], what)) {
    if (key?.scheme !== 'ed25519') return invalid(`${what}: key ${keyId} is not an Ed25519 key`);
    grantKeys.set(keyId, key);
  }
  if (grantKeys.size < 1 || grantKeys.size > MAX_GRANT_KEYS)
    invalid(`${what} has 1 to ${MAX_GRANT_KEYS} keys`);
  return grantKeys;
}
