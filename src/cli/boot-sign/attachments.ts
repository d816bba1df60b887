import { readFile } from 'node:fs/promises';
import { InvalidArgumentError } from 'commander';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import { isAttachmentName, MAX_ATTACHMENTS } from '../../signing/manifest.ts';
import { UsageError } from './usage-error.ts';

/** Files by the names under which the manifest lists them. */
export type AttachmentFiles = ReadonlyMap<string, string>;

const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** `NAME=FILE`, more than once for several. */
export function toAttachments(text: string, before: AttachmentFiles = new Map()): AttachmentFiles {
  const at = text.indexOf('=');
  const [name, file] = [text.slice(0, at), text.slice(at + 1)];
  if (at < 0 || file === '' || !isAttachmentName(name))
    throw new InvalidArgumentError('It is NAME=FILE, the name of a-z, 0-9 and inner hyphens.');
  if (before.has(name)) throw new InvalidArgumentError(`${name} is given twice.`);
  if (before.size === MAX_ATTACHMENTS)
    throw new InvalidArgumentError(`A release has at most ${MAX_ATTACHMENTS} of them.`);
  return new Map([...before, [name, file]]);
}

/**
 * What is called `sbom` or `provenance` is what readers of these expect; of other names nothing is known.
 *
 * @throws {UsageError}
 */
export async function loadAttachments(files: AttachmentFiles): Promise<ReadonlyMap<string, Uint8Array>> {
  const contents = new Map<string, Uint8Array>();
  for (const [name, file] of files) {
    const bytes = await readFile(file);
    if (name === 'sbom' && !isSbom(parseObject(bytes)))
      throw new UsageError(`${file} is neither an SPDX nor a CycloneDX document in JSON`);
    if (name === 'provenance' && !isProvenance(parseObject(bytes)))
      throw new UsageError(`${file} is neither an in-toto statement nor a DSSE envelope of one`);
    contents.set(name, bytes);
  }
  return contents;
}

/** SPDX 2.3 section 6.1 and SPDX 3.0 (JSON-LD); CycloneDX 1.x. */
function isSbom({ spdxVersion, bomFormat, '@context': context }: JsonObject): boolean {
  return (
    (typeof spdxVersion === 'string' && spdxVersion.startsWith('SPDX-')) ||
    (typeof context === 'string' && context.startsWith('https://spdx.org/rdf/')) ||
    bomFormat === 'CycloneDX'
  );
}

/** In-toto Attestation Framework v1: Statement, Envelope. */
function isProvenance({ _type, payloadType }: JsonObject): boolean {
  return (
    (typeof _type === 'string' && _type.startsWith('https://in-toto.io/Statement/')) ||
    payloadType === 'application/vnd.in-toto+json'
  );
}

function parseObject(bytes: Uint8Array): JsonObject {
  try {
    const value = parseStrictJson(bytes, { maxBytes: MAX_JSON_BYTES, maxDepth: 64 });
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}
