import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes } from '../core/bytes.ts';
import { isJsonObject, type JsonValue, parseStrictJson } from '../core/strict-json.ts';

// What is asked for with a request of type `adoption`, in canonical form:
//
//   {"_type": "adoption", "files": {"1.root.json": base64, "timestamp.json": base64, ...}}

const TYPE = 'adoption';
const MAX_TEXT_BYTES = 4 * 1024 * 1024;
const FILE_NAME = /^(?:[1-9][0-9]{0,15}\.)?[a-z0-9-]{1,80}\.json$/;

/** @throws {Error} when it is more than a request may hold */
export function encodeAdoption(files: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const contents = [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('base64')] as const);
  const text = asciiBytes(canonicalize({ _type: TYPE, files: Object.fromEntries(contents) }));
  if (text.length <= MAX_TEXT_BYTES) return text;
  throw new Error(
    `the metadata in force are ${text.length} bytes as a request, ${MAX_TEXT_BYTES} are allowed`,
  );
}

/** Metadata files by name; nothing about them is verified. @throws {Error} */
export function decodeAdoption(untrustedText: string): ReadonlyMap<string, Uint8Array> {
  const document = parseStrictJson(Buffer.from(untrustedText, 'latin1'), { maxBytes: MAX_TEXT_BYTES });
  if (!isJsonObject(document) || document._type !== TYPE || !isJsonObject(document.files))
    throw new Error('the text is no adoption');
  const files = new Map(Object.entries(document.files).map(([name, file]) => [name, decodeFile(name, file)]));
  if (Buffer.from(encodeAdoption(files)).toString('latin1') !== untrustedText)
    throw new Error('the text is not in canonical form');
  return files;
}

function decodeFile(name: string, file: JsonValue): Uint8Array {
  if (!FILE_NAME.test(name) || typeof file !== 'string') throw new Error('a file is no metadata file');
  return Buffer.from(file, 'base64');
}
