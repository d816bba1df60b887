import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { link, open, readdir, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** Temporary files are hidden, in the folder of the file that they become, and nothing else looks like them. */
const TEMPORARY = /^\.bootward-[0-9a-f]{24}\.tmp$/;

export interface TemporaryFile {
  readonly handle: FileHandle;
  /**
   * The contents become `path` for good. When this returns they survive a power cut; when it throws,
   * `path` is what it was, or already the new file if only the last step failed.
   *
   * @throws `EEXIST` when `replace` is false and `path` is there
   */
  commit(path: string, options: { replace: boolean }): Promise<void>;
  /** Closes and removes it; does nothing after a commit, so it belongs in every `finally`. */
  discard(): Promise<void>;
}

/**
 * Opens a file that nobody sees under its name until it is complete.
 *
 * What a crash leaves at each step of a commit: before the rename, a temporary file that
 * {@link sweepTemporaryFiles} removes at the next start, and the old state; between rename and the
 * folder's fsync, the old or the new file, never a mixture, because the contents were synced first;
 * after it, the new file. Without `replace` a link takes the place of the rename (it fails where a
 * rename would overwrite); a crash between link and unlink leaves the new file with a second, temporary
 * name, which the sweep removes.
 */
export async function openTemporaryFile(folder: string, mode = 0o600): Promise<TemporaryFile> {
  const temporary = join(folder, `.bootward-${randomBytes(12).toString('hex')}.tmp`);
  const handle = await open(temporary, 'wx+', mode);
  let pending = true;

  return {
    handle,
    async commit(path, { replace }) {
      if (dirname(path) !== dirname(temporary))
        throw new Error('a durable file is renamed in its own folder');
      await handle.sync();
      await handle.close();
      if (replace) await rename(temporary, path);
      else await linkExclusively(temporary, path);
      pending = false;
      await syncFolder(folder);
    },
    async discard() {
      if (!pending) return;
      pending = false;
      await handle.close();
      await unlink(temporary);
    },
  };
}

export interface DurableWrite {
  path: string;
  contents: Uint8Array | string;
  /** Permission bits before the process's umask; 0600 unless told. */
  mode?: number;
  replace: boolean;
}

/** Writes a whole file atomically and durably: readers see the old one or the new one. */
export async function writeFileDurably({ path, contents, mode, replace }: DurableWrite): Promise<void> {
  const file = await openTemporaryFile(dirname(path), mode);
  try {
    await file.handle.writeFile(contents);
    await file.commit(path, { replace });
  } finally {
    await file.discard();
  }
}

/** A new name in a folder is durable only when the folder is synced. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Removes what an earlier process left half-written. Call it at start, before anything is written and
 * while no other process writes there.
 */
export async function sweepTemporaryFiles(folder: string): Promise<number> {
  const stale = (await readdir(folder)).filter((name) => TEMPORARY.test(name));
  await Promise.all(stale.map((name) => unlink(join(folder, name))));
  return stale.length;
}

async function linkExclusively(temporary: string, path: string): Promise<void> {
  await link(temporary, path);
  await unlink(temporary);
}
