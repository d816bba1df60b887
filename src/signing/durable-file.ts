import { randomBytes } from 'node:crypto';
import { link, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

export interface DurableWrite {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** 0o600 for what is secret. */
  readonly mode: number;
}

/**
 * Puts a file in place of whatever is there. When this returns, the new file survives power loss; a crash
 * before that leaves the old file or the new one, whole, and at worst a temporary file beside it.
 */
export async function replaceFile(write: DurableWrite): Promise<void> {
  await placeTemporary(write, (temporary) => rename(temporary, write.path));
}

/**
 * Like {@link replaceFile}, but never replaces: fails with EEXIST when the name is taken, also by somebody
 * who was faster.
 */
export async function createFile(write: DurableWrite): Promise<void> {
  await placeTemporary(write, async (temporary) => {
    await link(temporary, write.path);
    await unlink(temporary);
  });
}

async function placeTemporary(
  { path, bytes, mode }: DurableWrite,
  place: (temporary: string) => Promise<void>,
): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`);
  try {
    await writeSynced(temporary, bytes, mode);
    await place(temporary);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncFolder(folder);
}

async function writeSynced(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const file = await open(path, 'wx', mode);
  try {
    await file.writeFile(bytes);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
