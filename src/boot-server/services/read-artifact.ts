import { sha256, toHex } from '../../core/bytes.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { Problem } from '../problems.ts';

/** What is read whole is small enough to be: manifests and stage-0 images. */
const MAX_BYTES = 32 * 1024 * 1024;

/** The bytes of a stored artifact, checked against its name once more as they are read. */
export async function readArtifact(
  artifacts: ArtifactStore,
  expected: { sha256: string; length: number },
): Promise<Uint8Array> {
  const handle = await artifacts.open(expected.sha256);
  try {
    if (handle.length !== expected.length || handle.length > MAX_BYTES)
      throw new Problem('artifact-damaged', `artifact ${expected.sha256} has ${handle.length} bytes`);
    const bytes = await handle.file.readFile();
    if (toHex(sha256(bytes)) !== expected.sha256)
      throw new Problem(
        'artifact-damaged',
        `artifact ${expected.sha256} was altered on disk: upload it again`,
      );
    return bytes;
  } finally {
    await handle.file.close();
  }
}
