import { asciiBytes, bytesEqual, sha256, toHex } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import { STAGE0_ROLE } from '../../signing/names.ts';
import { requireClosed } from '../../signing/tuf/closed-members.ts';
import { unsignedFile } from '../../signing/tuf/draft.ts';
import type { UntrustedEnvelope } from '../../signing/tuf/envelope.ts';
import { delegatedKeyrings, requireSensible, topLevelKeyrings } from '../../signing/tuf/keyrings.ts';
import { parseReleases, parseStage0Builds } from '../../signing/tuf/listings.ts';
import { parseSnapshot, parseTimestamp } from '../../signing/tuf/meta-files.ts';
import { parseRoot, type RootMetadata } from '../../signing/tuf/root.ts';
import { parseDelegated, parseTargets, type TargetsMetadata } from '../../signing/tuf/targets.ts';
import { refuse } from '../errors.ts';
import { verifyReleaseFiles, verifyStage0Files } from './artifacts.ts';
import { requireUnchanged, whollyKnown } from './listing-rules.ts';
import type { Judged, JudgeInput, RequestType } from './request-type.ts';
import { rememberTimestamp, requireTimeForward } from './signed-at-rules.ts';
import {
  rememberDelegations,
  rememberVersions,
  requireSnapshotForward,
  requireTimestampForward,
} from './version-rules.ts';

/**
 * The "signed" part of a TUF metadata file, in canonical form: what every signature of the file is over.
 * Who asks says which role it is; the text must be what that role's file is, by the readers that servers and
 * clients use, and nothing that those would pass over in silence.
 */
export const METADATA_TYPE: RequestType = {
  name: 'metadata',
  judge(input) {
    const { policy, untrustedText } = input;
    const message = asciiBytes(untrustedText);
    const { envelope, rules } = readRole(policy.role, wrap(untrustedText), input);
    if (!bytesEqual(envelope.canonical, message))
      refuse('metadata-refused', `${policy.role}: the text is not in canonical form`);
    requireVersion(input, envelope, message);
    requireExpiry(input, envelope);
    if (!isLast(input, message)) rules.requireForward?.();
    const { remember = {}, verifyFiles } = rules;
    return { version: envelope.version, message: async () => message, remember, verifyFiles };
  },
};

/** What a role has beyond what all have. */
interface RoleRules extends Partial<Pick<Judged, 'remember' | 'verifyFiles'>> {
  requireForward?(): void;
}

/** The file as it will be, before anyone has signed it. */
function wrap(text: string): Uint8Array {
  if (!/^[\n\x20-\x7e]*$/.test(text)) refuse('metadata-refused', 'the text is not printable ASCII');
  return unsignedFile(asciiBytes(text));
}

function readRole(
  role: string,
  bytes: Uint8Array,
  input: JudgeInput,
): { envelope: UntrustedEnvelope; rules: RoleRules } {
  try {
    const file = readFile(role, bytes, input);
    requireClosed(role, file.envelope.signed);
    return file;
  } catch (cause) {
    return refuse('metadata-refused', `${role}: ${messageOf(cause)}`, cause);
  }
}

function readFile(
  role: string,
  bytes: Uint8Array,
  input: JudgeInput,
): { envelope: UntrustedEnvelope; rules: RoleRules } {
  switch (role) {
    case 'root':
      return withSensibleKeys(parseRoot(bytes));
    case 'targets':
      return withSensibleDelegations(parseTargets(bytes));
    case 'snapshot': {
      const snapshot = parseSnapshot(bytes);
      const remember = rememberVersions(snapshot);
      return {
        envelope: snapshot,
        rules: { remember, requireForward: () => requireSnapshotForward(snapshot, input) },
      };
    }
    case 'timestamp': {
      const timestamp = parseTimestamp(bytes);
      const requireForward = (): void => {
        requireTimestampForward(timestamp, input);
        requireTimeForward(timestamp, input);
      };
      return {
        envelope: timestamp,
        rules: { remember: rememberTimestamp(timestamp, input.last), requireForward },
      };
    }
    default:
      return readDelegated(role, bytes, input);
  }
}

/** Thresholds that can be met, each key once, no key in two roles that must not fall together. */
function withSensibleKeys(root: RootMetadata) {
  requireSensible(topLevelKeyrings(root));
  return { envelope: root, rules: {} };
}

function withSensibleDelegations(targets: TargetsMetadata) {
  requireSensible(delegatedKeyrings(targets));
  return { envelope: targets, rules: { remember: rememberDelegations(targets) } };
}

function readDelegated(role: string, bytes: Uint8Array, input: JudgeInput) {
  const envelope = parseDelegated(role, bytes);
  const { targets } = envelope;
  const verifyFiles = readListing(role, targets, input);
  const requireForward = (): void => requireUnchanged(targets, input.last);
  return { envelope, rules: { remember: targets, verifyFiles, requireForward } };
}

/** @returns what looks at the files of all that is not known yet */
function readListing(role: string, targets: JsonObject, input: JudgeInput): Judged['verifyFiles'] {
  const { artifacts } = input.folders;
  const known = whollyKnown(input.last);
  if (role === STAGE0_ROLE) {
    const builds = parseStage0Builds(targets);
    return artifacts === undefined ? undefined : () => verifyStage0Files(builds, known, artifacts);
  }
  const releases = parseReleases(role.replace(/^channel-/, ''), targets);
  return artifacts === undefined ? undefined : () => verifyReleaseFiles(releases, known, artifacts);
}

/** Exactly the next version, or what was signed already: the second signature of a threshold. */
function requireVersion(input: JudgeInput, { role, version }: UntrustedEnvelope, message: Uint8Array): void {
  const last = input.last?.version ?? 0;
  if (version === last + 1 || isLast(input, message)) return;
  if (version === last)
    refuse(
      'version-taken',
      `${role} version ${version} was signed with another content: propose version ${last + 1}`,
    );
  refuse(
    'version-not-next',
    `${role} is at version ${last} here: only ${last + 1} is signed, this is ${version}`,
  );
}

function isLast({ last }: JudgeInput, message: Uint8Array): boolean {
  return last?.sha256 === toHex(sha256(message));
}

function requireExpiry({ policy, nowMs }: JudgeInput, { role, expiresMs }: UntrustedEnvelope): void {
  if (expiresMs <= nowMs) refuse('expiry-refused', `${role} would have expired already`);
  if (expiresMs > nowMs + policy.maxExpiryMs)
    refuse(
      'expiry-refused',
      `${role} would be good for more than the ${policy.maxExpiryMs / 86_400_000} days of "maxDays"`,
    );
}
