import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { type ArtifactReference, verifyArtifact } from '../../signing/artifact.ts';
import {
  artifactsIn,
  MAX_MANIFEST_BYTES,
  parseListedManifest,
  type ReleaseListing,
} from '../../signing/manifest.ts';
import { refuse } from '../errors.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Manifest and artifacts of every release that was not listed before are there, and are what is listed. */
export async function verifyReleaseFiles(
  releases: readonly ReleaseListing[],
  known: ReadonlySet<string>,
  artifacts: string,
): Promise<void> {
  for (const release of releases.filter(({ target }) => !known.has(target))) {
    const named = await verifyFile(artifacts, release, (bytes) =>
      artifactsIn(parseListedManifest(bytes, release)),
    );
    for (const artifact of named) await verifyFile(artifacts, artifact);
  }
}

export async function verifyStage0Files(
  builds: readonly (ArtifactReference & { target: string })[],
  known: ReadonlySet<string>,
  artifacts: string,
): Promise<void> {
  for (const build of builds.filter(({ target }) => !known.has(target))) await verifyFile(artifacts, build);
}

async function verifyFile(
  folder: string,
  reference: ArtifactReference,
  read: (bytes: Uint8Array) => readonly ArtifactReference[] = () => [],
): Promise<readonly ArtifactReference[]> {
  try {
    const { hashed, start } = await hashFile(join(folder, reference.sha256));
    verifyArtifact(reference, hashed);
    return read(start);
  } catch (cause) {
    return refuse('artifact-refused', `artifact ${reference.sha256}: ${messageOf(cause)}`, cause);
  }
}

/** The hash of the whole, and the first bytes: enough for a manifest. */
async function hashFile(path: string): Promise<{ hashed: ArtifactReference; start: Uint8Array }> {
  const hash = createHash('sha256');
  const start: Uint8Array[] = [];
  let length = 0;
  const file = await open(path, 'r');
  try {
    for await (const chunk of file.createReadStream({ highWaterMark: CHUNK_BYTES, autoClose: false })) {
      hash.update(chunk);
      if (length === 0) start.push(chunk.subarray(0, MAX_MANIFEST_BYTES));
      length += chunk.length;
    }
  } finally {
    await file.close();
  }
  return { hashed: { sha256: hash.digest('hex'), length }, start: Buffer.concat(start) };
}
