import { asciiBytes } from '../../core/bytes.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import type { Draft } from './draft.ts';
import { TufError } from './errors.ts';
import { MAX_ROOT_ROTATIONS } from './limits.ts';
import { rootFile } from './root.ts';
import { type TrustedMetadata, verifyMetadata, versionedFile } from './verify-metadata.ts';

/**
 * What was in force when a proposal was made, as it is served, by file name: the chain of roots, timestamp,
 * snapshot, targets, and the delegated roles that the proposal replaces. Whoever signs far from the
 * repository verifies it from a root of their own. Until then it is what the file claims.
 */
export type ProposalBase = ReadonlyMap<string, Uint8Array>;

const FILE = /^(?:[1-9][0-9]{0,15}\.)?[a-z0-9-]{1,80}\.json$/;
const ROOT = /^([1-9][0-9]{0,15})\.root\.json$/;
/** Beside the roots: timestamp, snapshot, targets, and what one proposal replaces. */
const MAX_FILES = MAX_ROOT_ROTATIONS + 128;

export function baseOf(current: TrustedMetadata, drafts: readonly Draft[]): ProposalBase {
  const { rootChain, timestamp, snapshot, targets } = current;
  const replaced = current.delegated
    .map(({ metadata }) => metadata)
    .filter(({ role }) => drafts.some((draft) => draft.role === role));
  return new Map([
    ...rootChain.map(({ version, bytes }) => [rootFile(version), bytes] as const),
    ['timestamp.json', timestamp.bytes],
    ...[snapshot, targets, ...replaced].map(
      ({ role, version, bytes }) => [versionedFile(role, version), bytes] as const,
    ),
  ]);
}

/**
 * What was in force, verified as a client does: the chain of roots from one that is trusted, each by the
 * thresholds of the one before and its own, then all that it says. Expiry is not judged: renewing what has
 * expired is what signing is for. Nobody can see here whether something newer is in force by now.
 *
 * @throws {TufError}
 */
export function verifyBase(
  { base, drafts }: { base: ProposalBase; drafts: readonly Draft[] },
  trustedRoot: Uint8Array,
): TrustedMetadata {
  const delegatedRoles = new Set(drafts.map(({ role }) => role));
  try {
    return verifyMetadata({ trustedRoot, files: base, nowMs: 0, delegatedRoles });
  } catch (cause) {
    if (!(cause instanceof TufError)) throw cause;
    const message = `what the proposal says was in force does not follow from the trusted root: ${cause.message}`;
    throw new TufError(cause.code, message, { cause });
  }
}

/** The same from the first root that the proposal brings along itself: consistent, and no proof of anything. */
export function claimedBase(proposal: {
  base: ProposalBase;
  drafts: readonly Draft[];
}): TrustedMetadata | undefined {
  if (proposal.base.size === 0) return undefined;
  const versions = [...proposal.base.keys()].flatMap((name) => ROOT.exec(name)?.[1] ?? []).map(Number);
  const first = proposal.base.get(rootFile(Math.min(...versions)));
  return first === undefined ? refuse('"base" has no root') : verifyBase(proposal, first);
}

export function encodeBase(base: ProposalBase): JsonObject {
  return Object.fromEntries([...base].map(([name, bytes]) => [name, Buffer.from(bytes).toString('latin1')]));
}

/** @throws {TufError} `tuf-proposal-invalid` */
export function parseBase(value: JsonValue | undefined): ProposalBase {
  if (!isJsonObject(value)) return refuse('"base" is not an object: propose it again');
  const entries = Object.entries(value);
  if (entries.length > MAX_FILES) return refuse(`"base" has more than ${MAX_FILES} files`);
  return new Map(entries.map(([name, text]) => [name, parseFile(name, text)]));
}

function parseFile(name: string, text: JsonValue): Uint8Array {
  if (!FILE.test(name) || typeof text !== 'string' || !/^[\t\n\r\x20-\x7e]*$/.test(text))
    return refuse('"base" has a file that is no metadata');
  return asciiBytes(text);
}

function refuse(message: string): never {
  throw new TufError('tuf-proposal-invalid', `proposal: ${message}`);
}
