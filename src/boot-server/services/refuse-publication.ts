import { messageOf } from '../../core/errors.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import { Problem } from '../problems.ts';

/** A fault of what is published, in the words of whoever found it. */
export function metadataRefused(cause: unknown): Problem {
  return new Problem('metadata-refused', messageOf(cause), { cause });
}

/** @throws {Problem} `metadata-refused` */
export async function requireStored(
  artifacts: ArtifactStore,
  target: string,
  { sha256, length }: { sha256: string; length: number },
): Promise<void> {
  const stored = await artifacts.stat(sha256);
  if (stored?.length !== length)
    throw new Problem(
      'metadata-refused',
      `${target} needs artifact ${sha256} of ${length} bytes, which is not stored here: upload it first`,
    );
}
