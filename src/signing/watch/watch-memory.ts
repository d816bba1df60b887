import { asciiBytes } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { readIfThere } from '../../core/errno.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import { referenceOf } from '../artifact.ts';
import { isSha256Hex, isVersion } from '../names.ts';
import { encodeSeenRoles, parseSeenRoles, type SeenRoles } from '../tuf/seen-metadata.ts';

export class WatchMemoryError extends CodedError<'watch-state-invalid' | 'watch-state-of-another-root'> {}

/** The newest that was ever seen, of one repository, at whichever door. */
export interface WatchMemory {
  /** Of the root that trust starts from. */
  readonly rootSha256: string;
  readonly roles: SeenRoles;
  /** When the newest timestamp was seen first; 0 before any was. */
  readonly timestampSeenSeconds: number;
}

const FORMAT = 'bootward-watch-v1';
const MAX_BYTES = 1024 * 1024;

export function emptyMemory(trustedRoot: Uint8Array): WatchMemory {
  return { rootSha256: referenceOf(trustedRoot).sha256, roles: new Map(), timestampSeenSeconds: 0 };
}

/** @throws {WatchMemoryError} */
export async function loadMemory(path: string, trustedRoot: Uint8Array): Promise<WatchMemory> {
  const bytes = await readIfThere(path);
  if (bytes === undefined) return emptyMemory(trustedRoot);
  const memory = parse(path, bytes);
  if (memory.rootSha256 === emptyMemory(trustedRoot).rootSha256) return memory;
  throw new WatchMemoryError(
    'watch-state-of-another-root',
    `${path} is of another root: give each root a --state of its own`,
  );
}

/** Durable when this returns; a crash leaves the old file or the new one. */
export async function saveMemory(path: string, memory: WatchMemory): Promise<void> {
  const { rootSha256, roles, timestampSeenSeconds } = memory;
  const document = { format: FORMAT, rootSha256, timestampSeenSeconds, roles: encodeSeenRoles(roles) };
  const contents = asciiBytes(`${JSON.stringify(document, null, 1)}\n`);
  await writeFileDurably({ path, contents, replace: true });
}

function parse(path: string, bytes: Uint8Array): WatchMemory {
  try {
    return read(parseStrictJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 4 }));
  } catch (cause) {
    throw new WatchMemoryError(
      'watch-state-invalid',
      `${path}: ${messageOf(cause)}: restore it, or move it away and start with no memory`,
      { cause },
    );
  }
}

function read(document: JsonValue): WatchMemory {
  if (!isJsonObject(document) || document.format !== FORMAT) throw new Error(`"format" is not ${FORMAT}`);
  const { rootSha256, roles, timestampSeenSeconds } = document;
  if (!isSha256Hex(rootSha256)) throw new Error('"rootSha256" is not a SHA-256');
  if (!isVersion(timestampSeenSeconds)) throw new Error('"timestampSeenSeconds" is not a time');
  return { rootSha256, roles: parseSeenRoles(roles), timestampSeenSeconds };
}
