import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileDurably } from '../../core/durable-file.ts';
import { rootFile } from '../tuf/root.ts';
import { type TrustedMetadata, verifyMetadata } from '../tuf/verify-metadata.ts';
import { type RepositoryChange, verifyChange } from '../tuf/write-repository.ts';
import type { RepositoryLayout } from './layout.ts';
import { RepositoryError } from './repository-error.ts';

const METADATA_NAME = /^(?:[1-9][0-9]{0,15}\.)?[a-z0-9-]{1,80}\.json$/;

/** The metadata of a folder as it lies there, and the root that its trust starts from. */
export interface StoredMetadata {
  readonly files: ReadonlyMap<string, Uint8Array>;
  readonly trustedRoot: Uint8Array;
}

/** @throws {RepositoryError} `repository-missing` */
export async function loadMetadata(layout: RepositoryLayout): Promise<StoredMetadata> {
  const names = await readdir(layout.metadata).catch((cause: unknown) => {
    throw new RepositoryError('repository-missing', `${layout.metadata} cannot be read`, { cause });
  });
  const files = new Map<string, Uint8Array>();
  for (const name of names.filter((name) => METADATA_NAME.test(name)).sort())
    files.set(name, await readFile(join(layout.metadata, name)));
  const trustedRoot = files.get(rootFile(1));
  if (trustedRoot === undefined)
    throw new RepositoryError('repository-missing', `${layout.metadata} holds no ${rootFile(1)}`);
  return { files, trustedRoot };
}

/**
 * What a change starts from: every signature good, but nothing is too old, because renewing what has
 * expired is what signing is for.
 *
 * @throws {TufError}
 */
export function trustedMetadata({ files, trustedRoot }: StoredMetadata): TrustedMetadata {
  return verifyMetadata({ trustedRoot, files, nowMs: 0 });
}

/**
 * Judges the change as a client would, then writes it file by file in its order, each durable before the
 * next. See {@link RepositoryChange} for what a crash leaves.
 *
 * @throws {TufError} and then nothing was written
 */
export async function saveChange(
  layout: RepositoryLayout,
  input: { stored?: StoredMetadata; change: RepositoryChange; nowMs: number },
): Promise<void> {
  const { stored, change, nowMs } = input;
  const firstRoot = change.find(({ name }) => name === rootFile(1))?.bytes;
  const trustedRoot = stored?.trustedRoot ?? firstRoot ?? new Uint8Array();
  verifyChange({ trustedRoot, files: stored?.files ?? new Map(), change, nowMs });
  for (const { name, bytes } of change)
    await writeFileDurably({
      path: join(layout.metadata, name),
      contents: bytes,
      mode: 0o644,
      replace: true,
    });
}
