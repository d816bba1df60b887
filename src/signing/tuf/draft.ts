import { Metadata, MetadataKind, Signature } from '@tufjs/models';
import { asciiBytes } from '../../core/bytes.ts';
import type { JsonObject } from '../../core/strict-json.ts';
import type { RoleSignature } from '../role-signer.ts';
import { requireClosed } from './closed-members.ts';
import type { MetadataType, UntrustedEnvelope } from './envelope.ts';
import { parseSnapshot, parseTimestamp } from './meta-files.ts';
import { parseRoot } from './root.ts';
import { parseDelegated, parseTargets } from './targets.ts';

/** A metadata file that is being signed: what it says is settled, who signs it is not. */
export interface Draft {
  readonly role: string;
  readonly version: number;
  readonly signed: JsonObject;
  /** What the signatures are over. */
  readonly canonical: Uint8Array;
  /** Hex by key id. */
  readonly signatures: ReadonlyMap<string, string>;
}

/** One metadata file to write. */
export interface MetadataFile {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const KINDS = {
  root: MetadataKind.Root,
  timestamp: MetadataKind.Timestamp,
  snapshot: MetadataKind.Snapshot,
  targets: MetadataKind.Targets,
} as const;

/** @param signed as `compose.ts` writes it */
export function createDraft(role: string, signed: JsonObject): Draft {
  return parseDraft(role, encode(role, { signed, signatures: [] }));
}

/** @throws {TufError} also when it has members that no reader of ours looks at */
export function parseDraft(role: string, bytes: Uint8Array): Draft {
  const { version, signed, canonical, signatures } = readAs(role, bytes);
  requireClosed(role, signed);
  return { role, version, signed, canonical, signatures };
}

/** By the role's own reader: what is signed for a channel is never a file that delegates. */
function readAs(role: string, bytes: Uint8Array): UntrustedEnvelope {
  if (role === 'root') return parseRoot(bytes);
  if (role === 'targets') return parseTargets(bytes);
  if (role === 'snapshot') return parseSnapshot(bytes);
  return role === 'timestamp' ? parseTimestamp(bytes) : parseDelegated(role, bytes);
}

export function withSignatures(draft: Draft, signatures: readonly RoleSignature[]): Draft {
  const all = new Map(draft.signatures);
  for (const { keyId, signature } of signatures) all.set(keyId, signature);
  return { ...draft, signatures: all };
}

/** As it is served, once enough have signed it. */
export function encodeDraft({ role, signed, signatures }: Draft): Uint8Array {
  return encode(role, { signed, signatures: [...signatures].map(([keyid, sig]) => ({ keyid, sig })) });
}

/**
 * What is signed as a file that nobody has signed: read this, and nothing has been read that is not signed.
 * The canonical form has line ends as they are; only keys in PEM have any.
 */
export function unsignedFile(canonical: Uint8Array): Uint8Array {
  const text = Buffer.from(canonical).toString('latin1').replaceAll('\n', '\\n');
  return asciiBytes(`{"signatures":[],"signed":${text}}`);
}

function typeOf(role: string): MetadataType {
  return role === 'root' || role === 'timestamp' || role === 'snapshot' ? role : 'targets';
}

/**
 * `@tufjs/models` reads what is to be signed and writes the file, so that its shape is what other TUF
 * implementations mean by it; our own strict reader then judges the result.
 */
function encode(
  role: string,
  { signed, signatures }: { signed: JsonObject; signatures: readonly { keyid: string; sig: string }[] },
): Uint8Array {
  const metadata = readModel(typeOf(role), { signed, signatures: [] });
  for (const { keyid, sig } of signatures) metadata.signatures[keyid] = new Signature({ keyID: keyid, sig });
  return asciiBytes(`${JSON.stringify(metadata.toJSON(), null, 1)}\n`);
}

/** One call by kind: the models overload `fromJSON` and do not take a union. */
function readModel(type: MetadataType, data: JsonObject) {
  switch (type) {
    case 'root':
      return Metadata.fromJSON(KINDS.root, data);
    case 'timestamp':
      return Metadata.fromJSON(KINDS.timestamp, data);
    case 'snapshot':
      return Metadata.fromJSON(KINDS.snapshot, data);
    case 'targets':
      return Metadata.fromJSON(KINDS.targets, data);
  }
}
