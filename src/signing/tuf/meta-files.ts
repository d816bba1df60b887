import type { JsonValue } from '../../core/strict-json.ts';
import type { ArtifactReference } from '../artifact.ts';
import { isSha256Hex, isVersion } from '../names.ts';
import { invalid, parseEnvelope, requireObject, type UntrustedEnvelope } from './envelope.ts';
import { MAX_METADATA_BYTES } from './limits.ts';
import { parseSignedAt } from './signed-at.ts';

/**
 * What timestamp and snapshot say of another metadata file (section 4.4, METAFILES). TUF leaves length and
 * hashes optional; here they are not, so that one good timestamp fixes every byte below it.
 */
export interface MetaFile extends ArtifactReference {
  readonly version: number;
}

export interface TimestampMetadata extends UntrustedEnvelope {
  readonly snapshot: MetaFile;
  readonly signedAtSeconds?: number;
}

export interface SnapshotMetadata extends UntrustedEnvelope {
  /** By file name without version: `targets.json`, `channel-demo.json`. */
  readonly meta: ReadonlyMap<string, MetaFile>;
}

export function parseTimestamp(bytes: Uint8Array): TimestampMetadata {
  const maxBytes = MAX_METADATA_BYTES.timestamp;
  const envelope = parseEnvelope({ role: 'timestamp', type: 'timestamp', bytes, maxBytes });
  const meta = parseMeta('timestamp', envelope.signed.meta);
  const snapshot = meta.get('snapshot.json');
  if (snapshot === undefined || meta.size !== 1)
    invalid('timestamp: "meta" names snapshot.json and no other');
  const signedAtSeconds = parseSignedAt(envelope);
  return { ...envelope, snapshot, ...(signedAtSeconds !== undefined && { signedAtSeconds }) };
}

export function parseSnapshot(bytes: Uint8Array): SnapshotMetadata {
  const maxBytes = MAX_METADATA_BYTES.snapshot;
  const envelope = parseEnvelope({ role: 'snapshot', type: 'snapshot', bytes, maxBytes });
  return { ...envelope, meta: parseMeta('snapshot', envelope.signed.meta) };
}

/** `hashes` of metadata files and targets: SHA-256 and no other, so that two readers check the same one. */
export function parseReference(value: JsonValue | undefined, what: string): ArtifactReference {
  const { length, hashes } = requireObject(value, what);
  const { sha256, ...others } = requireObject(hashes, `${what}: "hashes"`);
  if (!isSha256Hex(sha256) || Object.keys(others).length > 0)
    return invalid(`${what}: "hashes" is not one SHA-256 in lower-case hex`);
  if (!isVersion(length)) return invalid(`${what}: "length" is not a positive integer`);
  return { sha256, length };
}

function parseMeta(role: string, value: JsonValue | undefined): ReadonlyMap<string, MetaFile> {
  const entries = Object.entries(requireObject(value, `${role}: "meta"`));
  return new Map(entries.map(([file, meta]) => [file, parseMetaFile(meta, `${role}: "${file}"`)]));
}

function parseMetaFile(value: JsonValue, what: string): MetaFile {
  const { version } = requireObject(value, what);
  if (!isVersion(version)) return invalid(`${what}: "version" is not a positive integer`);
  return { version, ...parseReference(value, what) };
}
