import { asciiBytes } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { readIfThere } from '../../core/errno.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import { isJsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { encodeSeenRoles, parseSeenRoles, type SeenRoles } from '../tuf/seen-metadata.ts';

export class ServedFloorError extends CodedError<'served-floor-invalid'> {}

export const SERVED_FLOOR_FILE = 'served-floor.json';

/**
 * The newest metadata that a boot server ever served, kept apart from its database: whoever sets the
 * database back, by a backup or by hand, has not set this back with it.
 */
export interface ServedFloor {
  /** Undefined when there is no file. @throws {ServedFloorError} */
  load(): Promise<SeenRoles | undefined>;
  /** Atomic and durable when this returns; a crash leaves the old file or the new one. */
  save(roles: SeenRoles): Promise<void>;
}

const FORMAT = 'bootward-served-floor-v1';
const MAX_BYTES = 1024 * 1024;

export function createServedFloor(path: string): ServedFloor {
  return {
    async load() {
      const bytes = await readIfThere(path);
      return bytes && parseServedFloor(bytes, path);
    },

    save: (roles) => writeFileDurably({ path, contents: encodeServedFloor(roles), replace: true }),
  };
}

export function encodeServedFloor(roles: SeenRoles): Uint8Array {
  return asciiBytes(`${JSON.stringify({ format: FORMAT, roles: encodeSeenRoles(roles) }, null, 1)}\n`);
}

/** @throws {ServedFloorError} */
export function parseServedFloor(bytes: Uint8Array, path: string): SeenRoles {
  try {
    const document = parseStrictJson(bytes, { maxBytes: MAX_BYTES, maxDepth: 4 });
    if (!isJsonObject(document) || document.format !== FORMAT) throw new Error(`"format" is not ${FORMAT}`);
    return parseSeenRoles(document.roles);
  } catch (cause) {
    throw new ServedFloorError(
      'served-floor-invalid',
      `${path}: ${messageOf(cause)}. Restore it from a backup; if you are sure that nobody set the database back, remove it`,
      { cause },
    );
  }
}
