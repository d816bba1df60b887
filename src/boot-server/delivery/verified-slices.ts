import { createHash, hash } from 'node:crypto';
import { bytesEqual, toHex } from '../../core/bytes.ts';
import type { ArtifactHandle } from '../../storage/artifact-store.ts';
import { Problem } from '../problems.ts';
import { createSliceCache } from './slice-cache.ts';

/** What is read, hashed, cached and handed to TLS at once: larger costs memory per download and saves no CPU. */
export const SLICE_BYTES = 524_288;

/** 32 bytes of digest per slice: a thousand artifacts of 64 MiB take 4 MiB. */
const MAX_INDEXES = 1024;

export interface VerifiedSlices {
  /**
   * Hashes the whole file if no file of this name was yet; later it costs nothing.
   *
   * @throws {Problem} `artifact-damaged`
   */
  prepare(artifact: ArtifactHandle): Promise<void>;
  /**
   * Slice `number` of the artifact, every byte of it verified. The buffer is shared: never write to it.
   *
   * @throws {Problem} `artifact-damaged` when the file does not hold what its name says
   */
  read(artifact: ArtifactHandle, number: number): Promise<Buffer>;
  /** Downloads that met an altered file. */
  readonly damaged: number;
  readonly cachedBytes: number;
}

/**
 * Bytes served are bytes verified, whoever writes to the disk in between.
 *
 * The first read of an artifact hashes the whole open file, and the SHA-256 of every slice beside it.
 * Once the whole matches the artifact's name, those digests are facts about the *name*, not about the
 * file: slice n of this SHA-256 is this. So they never expire, whatever happens to the file or whichever
 * file is opened under that name later, and nothing hangs on time stamps. Every slice that is read is
 * compared with its digest in memory before anyone sees a byte of it, and what is cached is what was
 * compared. Concurrent reads of one slice read the disk once.
 */
export function createVerifiedSlices({ cacheBytes }: { cacheBytes: number }): VerifiedSlices {
  const cache = createSliceCache(cacheBytes);
  const indexes = new Map<string, Promise<SliceIndex>>();
  const reading = new Map<string, Promise<Buffer>>();
  let damaged = 0;

  function indexOf(artifact: ArtifactHandle): Promise<SliceIndex> {
    const known = indexes.get(artifact.sha256);
    if (known !== undefined) return known;
    const building = buildIndex(artifact);
    indexes.set(artifact.sha256, building);
    building.catch(() => indexes.delete(artifact.sha256));
    for (const oldest of indexes.keys()) if (indexes.size > MAX_INDEXES) indexes.delete(oldest);
    return building;
  }

  async function verifiedIndexOf(artifact: ArtifactHandle): Promise<SliceIndex> {
    const index = await indexOf(artifact);
    if (artifact.length !== index.length) throw damage(artifact, 'its length');
    return index;
  }

  async function readVerified(artifact: ArtifactHandle, number: number): Promise<Buffer> {
    const { digests } = await verifiedIndexOf(artifact);
    const digest = digests[number];
    const slice = await readSlice(artifact, number, Buffer.allocUnsafeSlow(SLICE_BYTES));
    if (slice === undefined || digest === undefined || !bytesEqual(digestOf(slice), digest))
      throw damage(artifact, `slice ${number}`);
    return slice;
  }

  async function readOnce(key: string, artifact: ArtifactHandle, number: number): Promise<Buffer> {
    try {
      const slice = await readVerified(artifact, number);
      cache.set(key, slice);
      return slice;
    } finally {
      reading.delete(key);
    }
  }

  /** Each file found altered is counted once for each download that it breaks off. */
  async function counted<T>(pending: Promise<T>): Promise<T> {
    try {
      return await pending;
    } catch (cause) {
      if (cause instanceof Problem && cause.code === 'artifact-damaged') damaged += 1;
      throw cause;
    }
  }

  return {
    get damaged() {
      return damaged;
    },
    get cachedBytes() {
      return cache.bytes;
    },
    async prepare(artifact) {
      await counted(verifiedIndexOf(artifact));
    },
    async read(artifact, number) {
      const key = `${artifact.sha256}/${number}`;
      const cached = cache.get(key);
      if (cached !== undefined) return cached;
      const pending = reading.get(key) ?? readOnce(key, artifact, number);
      reading.set(key, pending);
      return counted(pending);
    },
  };
}

interface SliceIndex {
  length: number;
  digests: readonly Uint8Array[];
}

async function buildIndex(artifact: ArtifactHandle): Promise<SliceIndex> {
  const whole = createHash('sha256');
  const digests: Uint8Array[] = [];
  const scratch = Buffer.allocUnsafeSlow(SLICE_BYTES);
  for (let number = 0; number * SLICE_BYTES < artifact.length; number += 1) {
    const slice = await readSlice(artifact, number, scratch);
    if (slice === undefined) throw damage(artifact, 'its length');
    whole.update(slice);
    digests.push(digestOf(slice));
  }
  if (toHex(whole.digest()) !== artifact.sha256) throw damage(artifact, 'its hash');
  return { length: artifact.length, digests };
}

/** Undefined when the file ends before the slice does: it was truncated since it was opened. */
async function readSlice(
  { file, length }: ArtifactHandle,
  number: number,
  into: Buffer,
): Promise<Buffer | undefined> {
  const start = number * SLICE_BYTES;
  const slice = into.subarray(0, length - start);
  let filled = 0;
  while (filled < slice.length) {
    const { bytesRead } = await file.read(slice, filled, slice.length - filled, start + filled);
    if (bytesRead === 0) return undefined;
    filled += bytesRead;
  }
  return slice;
}

function digestOf(slice: Uint8Array): Uint8Array {
  return hash('sha256', slice, 'buffer');
}

function damage({ sha256 }: ArtifactHandle, what: string): Problem {
  return new Problem('artifact-damaged', `the stored artifact ${sha256} is not what was published: ${what}`);
}
