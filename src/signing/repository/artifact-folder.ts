import { createHash } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { writeFileDurably } from '../../core/durable-file.ts';
import { isErrno } from '../../core/errno.ts';
import { type ArtifactReference, referenceOf, verifyArtifact } from '../artifact.ts';
import { artifactFile, type RepositoryLayout } from './layout.ts';
import { RepositoryError } from './repository-error.ts';

const CHUNK_BYTES = 1024 * 1024;

/** Puts the bytes under their hash. What is there already under it is checked and left alone. */
export async function storeArtifact(layout: RepositoryLayout, bytes: Uint8Array): Promise<ArtifactReference> {
  const reference = referenceOf(bytes);
  try {
    await writeFileDurably({
      path: artifactFile(layout, reference.sha256),
      contents: bytes,
      mode: 0o644,
      replace: false,
    });
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error;
    await verifyStoredArtifact(layout, reference);
  }
  return reference;
}

/** @throws {RepositoryError} `artifact-damaged`, also when it is not there */
export async function verifyStoredArtifact(
  layout: RepositoryLayout,
  reference: ArtifactReference,
): Promise<void> {
  const path = artifactFile(layout, reference.sha256);
  try {
    verifyArtifact(reference, await hashFile(path));
  } catch (cause) {
    const why = isErrno(cause, 'ENOENT') ? 'is not there' : 'is not what metadata says';
    throw new RepositoryError('artifact-damaged', `${path} ${why}`, { cause });
  }
}

/** For small artifacts that must be read as well: the bytes returned are the bytes checked. */
export async function readStoredArtifact(
  layout: RepositoryLayout,
  reference: ArtifactReference,
): Promise<Uint8Array> {
  await verifyStoredArtifact(layout, reference);
  const bytes = await readFile(artifactFile(layout, reference.sha256));
  verifyArtifact(reference, referenceOf(bytes));
  return bytes;
}

async function hashFile(path: string): Promise<ArtifactReference> {
  const hash = createHash('sha256');
  let length = 0;
  const file = await open(path, 'r');
  try {
    for await (const chunk of file.createReadStream({ highWaterMark: CHUNK_BYTES, autoClose: false })) {
      hash.update(chunk);
      length += chunk.length;
    }
  } finally {
    await file.close();
  }
  return { sha256: hash.digest('hex'), length };
}
