import { createHash } from 'node:crypto';
import { constants, type Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import { lstat, mkdir, open, readdir, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import {
  openTemporaryFile,
  sweepTemporaryFiles,
  syncFolder,
  type TemporaryFile,
} from '../core/durable-file.ts';
import { CodedError, messageOf } from '../core/errors.ts';

export type ArtifactStoreCode =
  | 'artifact-name-invalid'
  | 'artifact-unknown'
  | 'artifact-not-regular'
  | 'artifact-length-mismatch'
  | 'artifact-hash-mismatch'
  | 'upload-interrupted'
  | 'storage-full'
  | 'storage-failed';

export class ArtifactStoreError extends CodedError<ArtifactStoreCode> {}

export interface ArtifactUpload {
  /** SHA-256 that the contents must have: lower-case hex. */
  sha256: string;
  /** Exact length in bytes; nothing past it is written. */
  length: number;
  source: Readable;
}

/** An open artifact: its length when it was opened, and the file itself. The holder closes it. */
export interface ArtifactHandle {
  readonly sha256: string;
  readonly length: number;
  readonly file: FileHandle;
}

/**
 * Files named by the SHA-256 of their contents: `<folder>/<2 hex digits>/<64 hex digits>`.
 *
 * Durability: what `put` acknowledged survives a power cut. Concurrency: any number of puts and opens of
 * the same artifact, in one process or several; an open artifact stays readable when it is removed or put
 * again. A name that is not 64 lower-case hex digits never reaches the file system. The hash is checked
 * when an artifact comes in; whoever reads it later must check again, since disks and root can alter it.
 */
export interface ArtifactStore {
  has(sha256: string): Promise<boolean>;
  /** Undefined when there is none, or when what lies there is no plain file of ours. */
  stat(sha256: string): Promise<{ length: number } | undefined>;
  /** Whether it is there and its bytes are still those of its name: reads all of it, whatever its size. */
  isIntact(sha256: string): Promise<boolean>;
  /** {@link isIntact}; one that is counts as put now. */
  renew(sha256: string): Promise<boolean>;
  /**
   * Putting what is there already is a success that reads the source and writes nothing but the time; a damaged file
   * of that name is replaced. The source stays the caller's: after a refusal it may have more to read.
   *
   * @throws {ArtifactStoreError} and then nothing is stored and nothing of it is left
   */
  put(upload: ArtifactUpload): Promise<{ stored: boolean }>;
  /** @throws {ArtifactStoreError} `artifact-unknown`, `artifact-not-regular` */
  open(sha256: string): Promise<ArtifactHandle>;
  /** Every artifact with the time at which it was last put, in no order. */
  list(): AsyncIterable<{ sha256: string; length: number; putAtMs: number }>;
  /** Whether there was one. Downloads that have it open are not disturbed. */
  remove(sha256: string): Promise<boolean>;
}

const NAME = /^[0-9a-f]{64}$/;
const CHUNK_BYTES = 1024 * 1024;
const FAN_OUT = /^[0-9a-f]{2}$/;
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** Opens the store and removes what an interrupted put left behind: one store per folder and process. */
export async function createArtifactStore({ folder }: { folder: string }): Promise<ArtifactStore> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  for (const name of await readdir(folder))
    if (FAN_OUT.test(name)) await sweepTemporaryFiles(join(folder, name));

  const folderOf = (sha256: string): string => join(folder, validName(sha256).slice(0, 2));
  const pathOf = (sha256: string): string => join(folderOf(sha256), sha256);

  async function stat(sha256: string): Promise<{ length: number } | undefined> {
    const found = await absentAsUndefined(lstat(pathOf(sha256)));
    return found !== undefined && isOwnFile(found) ? { length: found.size } : undefined;
  }

  async function openArtifact(sha256: string): Promise<ArtifactHandle> {
    const file = await openPlainFile(pathOf(sha256));
    try {
      const found = await file.stat();
      if (!isOwnFile(found)) throw notRegular(sha256);
      return { sha256, length: found.size, file };
    } catch (cause) {
      await file.close();
      throw cause;
    }
  }

  async function isIntact(sha256: string): Promise<boolean> {
    if ((await stat(sha256)) === undefined) return false;
    const { file } = await openArtifact(sha256);
    const hash = createHash('sha256');
    for await (const chunk of file.createReadStream({ highWaterMark: CHUNK_BYTES }))
      hash.update(chunk as Buffer);
    return hash.digest('hex') === sha256;
  }

  async function put({ sha256, length, source }: ArtifactUpload): Promise<{ stored: boolean }> {
    let temporary: TemporaryFile | undefined;
    try {
      const path = pathOf(sha256);
      if ((await stat(sha256))?.length !== length || !(await isIntact(sha256))) {
        await ensureFolder(folder, folderOf(sha256));
        temporary = await openTemporaryFile(folderOf(sha256));
      }
      await receive({ sha256, length, source }, temporary?.handle);
      if (temporary === undefined) await touch(path);
      await temporary?.commit(path, { replace: true });
      return { stored: temporary !== undefined };
    } catch (cause) {
      throw translated(cause);
    } finally {
      await temporary?.discard();
    }
  }

  async function* list() {
    for (const fanOut of await readdir(folder)) {
      if (!FAN_OUT.test(fanOut)) continue;
      for (const sha256 of await readdir(join(folder, fanOut))) {
        const found = NAME.test(sha256) ? await absentAsUndefined(lstat(pathOf(sha256))) : undefined;
        if (found !== undefined && isOwnFile(found))
          yield { sha256, length: found.size, putAtMs: found.mtimeMs };
      }
    }
  }

  return {
    stat,
    list,
    isIntact,
    async renew(sha256) {
      const intact = await isIntact(sha256);
      if (intact) await touch(pathOf(sha256));
      return intact;
    },
    put,
    open: openArtifact,
    has: async (sha256) => (await stat(sha256)) !== undefined,
    async remove(sha256) {
      const path = pathOf(sha256);
      const removed = await absentAsUndefined(unlink(path).then(() => true));
      if (removed) await syncFolder(folderOf(sha256));
      return removed ?? false;
    },
  };
}

/** Copies the source while it hashes it, and stops at the first byte too many. */
async function receive(
  { sha256, length, source }: ArtifactUpload,
  sink: FileHandle | undefined,
): Promise<void> {
  const hash = createHash('sha256');
  let received = 0;
  for await (const bytes of chunksOf(source)) {
    received += bytes.length;
    if (received > length) throw lengthMismatch(length, 'more');
    hash.update(bytes);
    await sink?.writeFile(bytes);
  }
  if (received < length) throw lengthMismatch(length, `only ${received}`);
  const actual = hash.digest('hex');
  if (actual !== sha256)
    throw new ArtifactStoreError(
      'artifact-hash-mismatch',
      `the contents have SHA-256 ${actual}, not ${sha256}`,
    );
}

/** Keeps a sender who went away apart from a disk that failed. */
async function* chunksOf(source: Readable): AsyncGenerator<Buffer> {
  const chunks = source.iterator({ destroyOnReturn: false })[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch(interrupted);
    if (next.done) return;
    yield next.value;
  }
}

function interrupted(cause: unknown): never {
  throw new ArtifactStoreError('upload-interrupted', `the upload broke off: ${messageOf(cause)}`, { cause });
}

/** O_NOFOLLOW refuses a symbolic link as the file itself, O_NONBLOCK keeps a planted FIFO from blocking us. */
async function openPlainFile(path: string): Promise<FileHandle> {
  try {
    return await open(path, OPEN_FLAGS);
  } catch (cause) {
    const code = systemCode(cause);
    if (code === 'ENOENT')
      throw new ArtifactStoreError('artifact-unknown', 'no artifact of this name', { cause });
    if (code === 'ELOOP' || code === 'ENXIO') throw notRegular(path, cause);
    throw cause;
  }
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now);
}

async function ensureFolder(parent: string, folder: string): Promise<void> {
  const created = await mkdir(folder, { recursive: true, mode: 0o700 });
  if (created !== undefined) await syncFolder(parent);
}

/** A second name (hard link) would let its owner alter the file after we looked at it. */
function isOwnFile(found: Stats): boolean {
  return found.isFile() && found.nlink === 1;
}

function validName(sha256: string): string {
  if (!NAME.test(sha256))
    throw new ArtifactStoreError('artifact-name-invalid', 'an artifact is named by 64 lower-case hex digits');
  return sha256;
}

function lengthMismatch(expected: number, found: string): ArtifactStoreError {
  return new ArtifactStoreError('artifact-length-mismatch', `expected ${expected} bytes, received ${found}`);
}

function notRegular(name: string, cause?: unknown): ArtifactStoreError {
  const sentence = `${name.slice(-64)} in the artifact store is not a plain file with one name: remove it`;
  return new ArtifactStoreError('artifact-not-regular', sentence, { cause });
}

/** EDQUOT is a full quota, EFBIG the process's file size limit: to the sender all three are a full disk. */
function translated(cause: unknown): unknown {
  if (cause instanceof CodedError) return cause;
  const code = systemCode(cause);
  if (code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG')
    return new ArtifactStoreError('storage-full', `the artifact store cannot take more (${code})`, { cause });
  return new ArtifactStoreError('storage-failed', `the artifact was not stored: ${messageOf(cause)}`, {
    cause,
  });
}

async function absentAsUndefined<T>(pending: Promise<T>): Promise<T | undefined> {
  try {
    return await pending;
  } catch (cause) {
    if (systemCode(cause) === 'ENOENT') return undefined;
    throw cause;
  }
}

function systemCode(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown ? String(thrown.code) : undefined;
}
