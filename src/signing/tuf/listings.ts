import type { JsonObject, JsonValue } from '../../core/strict-json.ts';
import type { ArtifactReference } from '../artifact.ts';
import type { ReleaseListing } from '../manifest.ts';
import {
  type Architecture,
  isArchitecture,
  isReleaseName,
  isSha256Hex,
  isVersion,
  releaseTarget,
  stage0Target,
} from '../names.ts';
import { requireObject } from './envelope.ts';
import { TufError } from './errors.ts';
import { parseReference } from './meta-files.ts';

/** A listed stage-0 image and what booting it measures. */
export interface Stage0Listing extends ArtifactReference {
  readonly build: number;
  readonly architecture: Architecture;
  readonly target: string;
  /** PE image hash (Authenticode, SHA-256): what PCR 4 is extended with. */
  readonly authenticodeSha256: string;
  /** The value of PCR 11 after the stub has measured its sections. */
  readonly pcr11: string;
  /** Of a build that keeps a floor: the SubjectPublicKeyInfo of the floor key, base64. */
  readonly floorKey?: string;
  /** There exactly where the key is. */
  readonly floorApprovals?: FloorApprovals;
}

/** What the floor key signed for this image (docs/protocol.md, "Floor record"): hex. */
export type FloorApprovals = { readonly secureBoot: string; readonly noSecureBoot?: string };

/**
 * A channel's releases by ascending version. The name of a target is derived from what its custom field
 * says and compared, never taken apart: a name that says something else, such as another channel's, is
 * refused.
 *
 * @throws {TufError}
 */
export function parseReleases(channel: string, targets: JsonObject): readonly ReleaseListing[] {
  const releases = Object.entries(targets).map(([target, value]) => parseRelease(channel, target, value));
  if (new Set(releases.map(({ architecture }) => architecture)).size > 1)
    targetInvalid(`channel ${channel} lists releases for more than one architecture`);
  return releases.sort((a, b) => a.version - b.version);
}

/** The stage-0 builds by ascending build, then architecture. */
export function parseStage0Builds(targets: JsonObject): readonly Stage0Listing[] {
  return Object.entries(targets)
    .map(([target, value]) => parseStage0Build(target, value))
    .sort((a, b) => a.build - b.build || (a.architecture < b.architecture ? -1 : 1));
}

function parseRelease(channel: string, target: string, value: JsonValue): ReleaseListing {
  const { version, architecture, name } = customOf(target, value, ['version', 'architecture', 'name']);
  if (!isVersion(version)) return targetInvalid(`${target}: "version" is not a positive integer`);
  if (!isArchitecture(architecture)) return targetInvalid(`${target}: "architecture" is not known`);
  if (!isReleaseName(name)) return targetInvalid(`${target}: "name" is not a release name`);
  requireTargetName(target, releaseTarget(channel, version));
  return { channel, version, target, architecture, name, ...parseReference(value, target) };
}

function parseStage0Build(target: string, value: JsonValue): Stage0Listing {
  const members = ['build', 'architecture', 'authenticodeSha256', 'pcr11', 'floorKey', 'floorApprovals'];
  const custom = customOf(target, value, members);
  const { build, architecture, authenticodeSha256, pcr11 } = custom;
  if (!isVersion(build)) return targetInvalid(`${target}: "build" is not a positive integer`);
  if (!isArchitecture(architecture)) return targetInvalid(`${target}: "architecture" is not known`);
  if (!isSha256Hex(authenticodeSha256))
    return targetInvalid(`${target}: "authenticodeSha256" is not a SHA-256`);
  if (!isSha256Hex(pcr11)) return targetInvalid(`${target}: "pcr11" is not a SHA-256`);
  requireTargetName(target, stage0Target(architecture, build));
  const reference = parseReference(value, target);
  return { build, architecture, target, authenticodeSha256, pcr11, ...floorOf(target, custom), ...reference };
}

const FLOOR_KEY = /^[A-Za-z0-9+/]{122}==$/;
/** An Ecdsa-Sig-Value of P-256 in DER has 8 to 72 bytes. */
const APPROVAL = /^(?:[0-9a-f]{2}){8,72}$/;

/** Read for its form: whose key it is and what it approves is for whoever knows the image. */
function floorOf(
  target: string,
  { floorKey, floorApprovals }: JsonObject,
): Pick<Stage0Listing, 'floorKey' | 'floorApprovals'> {
  if (floorKey === undefined && floorApprovals === undefined) return {};
  if (typeof floorKey !== 'string' || !FLOOR_KEY.test(floorKey))
    return targetInvalid(`${target}: "floorKey" is no P-256 key in base64`);
  const approvals = requireObject(floorApprovals, `${target}: "floorApprovals"`);
  const { secureBoot, noSecureBoot, ...others } = approvals;
  if (Object.keys(others).length > 0) targetInvalid(`${target}: "floorApprovals" has an unknown member`);
  if (!isApproval(secureBoot) || (noSecureBoot !== undefined && !isApproval(noSecureBoot)))
    return targetInvalid(`${target}: "floorApprovals" holds no signatures in hex`);
  return { floorKey, floorApprovals: { secureBoot, ...(noSecureBoot !== undefined && { noSecureBoot }) } };
}

function isApproval(value: JsonValue | undefined): value is string {
  return typeof value === 'string' && APPROVAL.test(value);
}

function customOf(target: string, value: JsonValue, members: readonly string[]): JsonObject {
  const custom = requireObject(requireObject(value, target).custom, `${target}: "custom"`);
  const extra = Object.keys(custom).find((member) => !members.includes(member));
  if (extra !== undefined) targetInvalid(`${target}: "custom" has an unknown member "${extra}"`);
  return custom;
}

function requireTargetName(target: string, expected: string): void {
  if (target !== expected)
    throw new TufError('tuf-delegation-invalid', `target "${target}" should be named "${expected}"`);
}

function targetInvalid(message: string): never {
  throw new TufError('tuf-target-invalid', message);
}
