import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes } from '../../core/bytes.ts';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/strict-json.ts';
import { type ArtifactReference, referenceOf } from '../artifact.ts';
import { isVersion } from '../names.ts';
import { parseSignedJson } from '../signed-json.ts';
import { TufError } from './errors.ts';
import { MAX_SIGNATURES } from './limits.ts';

/**
 * When the timestamp was signed, in whole Unix seconds. Nodes have no clock to trust: this is their lower
 * bound of time. Timestamps of before it was there have none, and stay good (signed-at.ts).
 */
export const SIGNED_AT_FIELD = 'x-bootward-signed-at';

export type MetadataType = 'root' | 'timestamp' | 'snapshot' | 'targets';

/** A metadata file taken apart, nothing of it believed yet (specification 1.0, section 4.3). */
export interface UntrustedEnvelope {
  /** The file as it was read, for whoever is to verify it next. */
  readonly bytes: Uint8Array;
  readonly role: string;
  readonly version: number;
  readonly expiresMs: number;
  readonly signed: JsonObject;
  /** What the signatures are over: OLPC canonical JSON, here equal to `jq -cjS .signed`. */
  readonly canonical: Uint8Array;
  readonly signatures: ReadonlyMap<string, string>;
  /** Length and hash of the file as it was read. */
  readonly file: ArtifactReference;
}

// As narrow as in agent/lib/tuf.sh: what one of the two refuses, the other must refuse.
const EXPIRES = /^[1-9]\d{3}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$/;
const SPEC_VERSION = /^1\.0\.\d{1,3}$/;

/** @throws {TufError} `tuf-metadata-invalid` */
export function parseEnvelope(input: {
  role: string;
  type: MetadataType;
  bytes: Uint8Array;
  maxBytes: number;
}): UntrustedEnvelope {
  const { role, type, bytes, maxBytes } = input;
  const document = parseDocument(role, bytes, maxBytes);
  const signed = requireObject(document.signed, `${role}: "signed"`);
  if (signed._type !== type) invalid(`${role}: "_type" is not ${type}`);
  if (typeof signed.spec_version !== 'string' || !SPEC_VERSION.test(signed.spec_version))
    invalid(`${role}: "spec_version" is not 1.0.x`);
  if (!isVersion(signed.version)) invalid(`${role}: "version" is not a positive integer`);
  if (type !== 'timestamp' && SIGNED_AT_FIELD in signed)
    invalid(`${role}: only a timestamp has "${SIGNED_AT_FIELD}"`);
  return {
    bytes,
    role,
    version: signed.version,
    expiresMs: parseExpires(role, signed.expires),
    signed,
    canonical: asciiBytes(canonicalize(signed)),
    signatures: parseSignatures(role, document.signatures),
    file: referenceOf(bytes),
  };
}

export function requireObject(value: JsonValue | undefined, what: string): JsonObject {
  if (!isJsonObject(value)) invalid(`${what} is not an object`);
  return value;
}

export function invalid(message: string): never {
  throw new TufError('tuf-metadata-invalid', message);
}

function parseDocument(role: string, bytes: Uint8Array, maxBytes: number): JsonObject {
  try {
    return parseSignedJson(bytes, maxBytes);
  } catch (cause) {
    throw new TufError('tuf-metadata-invalid', `${role}: ${messageOf(cause)}`, { cause });
  }
}

/** In whole seconds: section 4.2.1 allows no fractions. */
export function formatExpires(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** A day or an hour that there is not, such as 24:00, is read by some as the next one: it is refused. */
function parseExpires(role: string, value: JsonValue | undefined): number {
  const ms = typeof value === 'string' && EXPIRES.test(value) ? Date.parse(value) : Number.NaN;
  if (Number.isNaN(ms) || formatExpires(ms) !== value)
    invalid(`${role}: "expires" is not a UTC time such as 2027-01-31T12:00:00Z`);
  return ms;
}

/** One key, one signature: the same key id twice is refused, whatever the signatures are (section 4.2). */
function parseSignatures(role: string, value: JsonValue | undefined): ReadonlyMap<string, string> {
  if (!Array.isArray(value) || value.length > MAX_SIGNATURES)
    invalid(`${role}: "signatures" is not a list of at most ${MAX_SIGNATURES}`);
  const signatures = new Map<string, string>();
  for (const entry of value) {
    const { keyid, sig } = requireObject(entry, `${role}: a signature`);
    if (typeof keyid !== 'string' || typeof sig !== 'string')
      invalid(`${role}: a signature has no "keyid" or no "sig"`);
    if (signatures.has(keyid)) invalid(`${role}: key ${keyid} signs twice`);
    signatures.set(keyid, sig);
  }
  return signatures;
}
