import { asciiBytes } from '../core/bytes.ts';
import { CodedError, messageOf } from '../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../core/strict-json.ts';
import { type ArtifactReference, referenceOf, verifyArtifact } from './artifact.ts';
import {
  type Architecture,
  isArchitecture,
  isChannelName,
  isPrintableAscii,
  isReleaseName,
  isSha256Hex,
  isVersion,
} from './names.ts';
import { parseSignedJson } from './signed-json.ts';

// The release manifest of docs/protocol.md: the one document that ties a kernel, an initramfs and a
// command line together. The release digest is the SHA-256 of its bytes, so a part of one release can
// never be used with a part of another.

export const HANDOVERS = ['kexec', 'switch-root'] as const;
export type Handover = (typeof HANDOVERS)[number];

export interface ReleaseManifest {
  readonly channel: string;
  readonly version: number;
  readonly name: string;
  readonly architecture: Architecture;
  readonly handover: Handover;
  readonly cmdline: string;
  readonly kernel: ArtifactReference;
  readonly initramfs: ArtifactReference;
  /** By name: what goes with the release and is no part of what boots, such as its bill of materials. */
  readonly attachments: ReadonlyMap<string, ArtifactReference>;
}

/** What the channel's signed metadata says of a release. */
export interface ReleaseListing extends ArtifactReference {
  readonly channel: string;
  readonly version: number;
  readonly target: string;
  readonly architecture: Architecture;
  readonly name: string;
}

export class ManifestError extends CodedError<'manifest-invalid' | 'manifest-not-as-listed'> {}

export const MANIFEST_FORMAT = 'bootward-release-v1';
export const MAX_MANIFEST_BYTES = 16 * 1024;
/** COMMAND_LINE_SIZE on x86-64 and arm64 is 2048 with the final NUL. */
export const MAX_CMDLINE_LENGTH = 2047;
/** No kernel or initramfs of ours comes near; it keeps a signed length below what 32-bit readers hold. */
export const MAX_ARTIFACT_BYTES = 0xffff_ffff;
export const MAX_ATTACHMENTS = 16;

/** @throws {ManifestError} `manifest-invalid` */
export function parseReleaseManifest(bytes: Uint8Array): ReleaseManifest {
  const document = parseDocument(bytes);
  requireMembers(document, ['format', ...MEMBERS], ['attachments']);
  if (document.format !== MANIFEST_FORMAT) invalid(`"format" is not ${MANIFEST_FORMAT}`);
  const { channel, version, name, architecture, handover, cmdline } = document;
  if (!isChannelName(channel)) invalid('"channel" is not a channel name');
  if (!isVersion(version)) invalid('"version" is not a positive integer');
  if (!isReleaseName(name)) invalid('"name" is not a release name');
  if (!isArchitecture(architecture)) invalid('"architecture" is not known');
  if (!isHandover(handover)) invalid('"handover" is not known');
  if (!isCmdline(cmdline)) invalid(`"cmdline" is not printable ASCII of at most ${MAX_CMDLINE_LENGTH}`);
  const kernel = parseReference(document.kernel, 'kernel');
  const initramfs = parseReference(document.initramfs, 'initramfs');
  const attachments = parseAttachments(document.attachments);
  return { channel, version, name, architecture, handover, cmdline, kernel, initramfs, attachments };
}

/** Everything that a release needs to be complete: what boots, and what goes with it. */
export function artifactsIn({
  kernel,
  initramfs,
  attachments,
}: ReleaseManifest): readonly ArtifactReference[] {
  return [kernel, initramfs, ...attachments.values()];
}

/**
 * Reads a manifest that metadata lists: its bytes are the listed ones and it says of itself what the
 * listing says of it.
 *
 * @throws {ArtifactError | ManifestError}
 */
export function parseListedManifest(bytes: Uint8Array, listing: ReleaseListing): ReleaseManifest {
  verifyArtifact(listing, referenceOf(bytes));
  const manifest = parseReleaseManifest(bytes);
  for (const member of ['channel', 'version', 'architecture', 'name'] as const)
    if (manifest[member] !== listing[member])
      throw new ManifestError(
        'manifest-not-as-listed',
        `${listing.target} is listed with ${member} ${listing[member]}, its manifest says ${manifest[member]}`,
      );
  return manifest;
}

/**
 * The same release always gives the same bytes, whatever order the caller's fields have.
 *
 * @throws {ManifestError} `manifest-invalid`: nothing is written that would not be read
 */
export function encodeReleaseManifest(manifest: ReleaseManifest): Uint8Array {
  const document = {
    format: MANIFEST_FORMAT,
    channel: manifest.channel,
    version: manifest.version,
    name: manifest.name,
    architecture: manifest.architecture,
    handover: manifest.handover,
    cmdline: manifest.cmdline,
    kernel: orderedReference(manifest.kernel),
    initramfs: orderedReference(manifest.initramfs),
    ...(manifest.attachments.size > 0 && { attachments: orderedAttachments(manifest.attachments) }),
  };
  const bytes = asciiBytes(`${JSON.stringify(document, null, 2)}\n`);
  parseReleaseManifest(bytes);
  return bytes;
}

const MEMBERS = [
  'channel',
  'version',
  'name',
  'architecture',
  'handover',
  'cmdline',
  'kernel',
  'initramfs',
] as const;

function parseDocument(bytes: Uint8Array): JsonObject {
  try {
    return parseSignedJson(bytes, MAX_MANIFEST_BYTES);
  } catch (cause) {
    throw new ManifestError('manifest-invalid', `release manifest: ${messageOf(cause)}`, { cause });
  }
}

function parseReference(value: JsonValue | undefined, member: string): ArtifactReference {
  if (!isJsonObject(value)) invalid(`"${member}" is not an object`);
  requireMembers(value, ['sha256', 'length']);
  const { sha256, length } = value;
  if (!isSha256Hex(sha256)) invalid(`"${member}.sha256" is not a SHA-256 in lower-case hex`);
  if (!isVersion(length) || length > MAX_ARTIFACT_BYTES)
    invalid(`"${member}.length" is not between 1 and ${MAX_ARTIFACT_BYTES}`);
  return { sha256, length };
}

function parseAttachments(value: JsonValue | undefined): ReadonlyMap<string, ArtifactReference> {
  if (value === undefined) return new Map();
  if (!isJsonObject(value)) return invalid('"attachments" is not an object');
  const entries = Object.entries(value);
  if (entries.length === 0 || entries.length > MAX_ATTACHMENTS)
    invalid(`"attachments" is absent, or has 1 to ${MAX_ATTACHMENTS} members`);
  return new Map(
    entries.map(([name, reference]) => {
      if (!isAttachmentName(name)) invalid(`attachment ${JSON.stringify(name)} has no good name`);
      return [name, parseReference(reference, `attachments.${name}`)];
    }),
  );
}

/** 1 to 32 of a-z, 0-9 and inner hyphens, beginning with a letter. */
export function isAttachmentName(name: string): boolean {
  return /^[a-z](?:[a-z0-9-]{0,30}[a-z0-9])?$/.test(name);
}

function orderedAttachments(attachments: ReadonlyMap<string, ArtifactReference>): JsonObject {
  const names = [...attachments].sort(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(names.map(([name, reference]) => [name, orderedReference(reference)]));
}

function requireMembers(
  object: JsonObject,
  members: readonly string[],
  optional: readonly string[] = [],
): void {
  const missing = members.find((member) => object[member] === undefined);
  if (missing !== undefined) invalid(`"${missing}" is missing`);
  const extra = Object.keys(object).find((member) => !members.includes(member) && !optional.includes(member));
  if (extra !== undefined) invalid(`"${extra}" is not known`);
}

function orderedReference({ sha256, length }: ArtifactReference): { sha256: string; length: number } {
  return { sha256, length };
}

function isHandover(value: unknown): value is Handover {
  return HANDOVERS.some((handover) => handover === value);
}

function isCmdline(value: unknown): value is string {
  return isPrintableAscii(value) && value.length <= MAX_CMDLINE_LENGTH;
}

function invalid(message: string): never {
  throw new ManifestError('manifest-invalid', `release manifest: ${message}`);
}
