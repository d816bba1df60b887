import { createHash, randomBytes } from 'node:crypto';
import { link, mkdir, readdir, readFile, rename, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeEach, describe, expect, it } from 'vitest';
import { type ArtifactStore, createArtifactStore } from '../../src/storage/artifact-store.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const BYTES = randomBytes(200_000);
const NAME = nameOf(BYTES);

let folder: string;
let store: ArtifactStore;

beforeEach(async () => {
  folder = await temporaryFolder();
  store = await createArtifactStore({ folder });
});

function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function sourceOf(bytes: Uint8Array): Readable {
  const chunks = [];
  for (let at = 0; at < bytes.length; at += 65_536) chunks.push(bytes.subarray(at, at + 65_536));
  return Readable.from(chunks);
}

function put(bytes: Uint8Array, expected = bytes): Promise<{ stored: boolean }> {
  return store.put({ sha256: nameOf(expected), length: expected.length, source: sourceOf(bytes) });
}

function pathOf(name: string): string {
  return join(folder, name.slice(0, 2), name);
}

async function allFiles(): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
}

async function readBack(name: string): Promise<Buffer> {
  const { file } = await store.open(name);
  try {
    return await file.readFile();
  } finally {
    await file.close();
  }
}

describe('artifact store', () => {
  it('gives back what was put, under its hash', async () => {
    expect(await put(BYTES)).toEqual({ stored: true });
    expect(await store.stat(NAME)).toEqual({ length: BYTES.length });
    expect(await readBack(NAME)).toEqual(BYTES);
    expect(await allFiles()).toEqual([NAME]);
  });

  it('takes an artifact of no bytes', async () => {
    await put(new Uint8Array(0));
    expect(await store.stat(nameOf(new Uint8Array(0)))).toEqual({ length: 0 });
  });

  it('writes nothing when the artifact is there already', async () => {
    await put(BYTES);
    const before = await stat(pathOf(NAME), { bigint: true });
    expect(await put(BYTES)).toEqual({ stored: false });
    expect((await stat(pathOf(NAME), { bigint: true })).ino).toBe(before.ino);
  });

  it('refuses another content for a name that it has', async () => {
    await put(BYTES);
    await expect(put(Buffer.from(BYTES).fill(0, 5, 6), BYTES)).rejects.toMatchObject({
      code: 'artifact-hash-mismatch',
    });
    expect(await readBack(NAME)).toEqual(BYTES);
  });

  it('replaces a stored file that was damaged', async () => {
    await put(BYTES);
    await writeFile(pathOf(NAME), Buffer.from(BYTES).fill(0, 5, 6));
    expect(await put(BYTES)).toEqual({ stored: true });
    expect(await readBack(NAME)).toEqual(BYTES);
  });

  it('takes twenty puts of one artifact at once', async () => {
    await Promise.all(Array.from({ length: 20 }, () => put(BYTES)));
    expect(await allFiles()).toEqual([NAME]);
    expect(await readBack(NAME)).toEqual(BYTES);
  });

  it('keeps an open artifact readable when it is removed', async () => {
    await put(BYTES);
    const { file } = await store.open(NAME);
    expect(await store.remove(NAME)).toBe(true);
    expect(await store.remove(NAME)).toBe(false);
    expect(await file.readFile()).toEqual(BYTES);
    await file.close();
    await expect(store.open(NAME)).rejects.toMatchObject({ code: 'artifact-unknown' });
  });

  it('removes what a killed process left half-written, and nothing else', async () => {
    await put(BYTES);
    const leftover = join(dirname(pathOf(NAME)), `.bootward-${'a'.repeat(24)}.tmp`);
    await writeFile(leftover, 'half');
    await createArtifactStore({ folder });
    expect(await allFiles()).toEqual([NAME]);
  });
});

describe('D5 path traversal', () => {
  const names = [
    '',
    '..',
    `../${NAME}`,
    `/etc/passwd`,
    '%2e%2e%2f',
    '..\\..\\x',
    `${NAME}\0`,
    `${NAME}/`,
    `${NAME} `,
    `${NAME}\n`,
    NAME.toUpperCase(),
    NAME.slice(1),
    `\\\\server\\share`,
  ];
  it.each(names)('D5 refuses the name %j before it reaches the file system', async (name) => {
    const invalid = { code: 'artifact-name-invalid' };
    await expect(store.open(name)).rejects.toMatchObject(invalid);
    await expect(store.has(name)).rejects.toMatchObject(invalid);
    await expect(store.remove(name)).rejects.toMatchObject(invalid);
    await expect(store.put({ sha256: name, length: 1, source: sourceOf(BYTES) })).rejects.toMatchObject(
      invalid,
    );
    expect(await allFiles()).toEqual([]);
  });
});

describe('D6 planted links', () => {
  const planted = { code: 'artifact-not-regular' };

  it('D6 refuses a symbolic link in place of an artifact', async () => {
    await put(BYTES);
    await rename(pathOf(NAME), join(folder, 'elsewhere'));
    await symlink(join(folder, 'elsewhere'), pathOf(NAME));
    expect(await store.has(NAME)).toBe(false);
    await expect(store.open(NAME)).rejects.toMatchObject(planted);
  });

  it('D6 refuses an artifact that has a second name', async () => {
    await put(BYTES);
    await link(pathOf(NAME), join(folder, 'second'));
    expect(await store.has(NAME)).toBe(false);
    await expect(store.open(NAME)).rejects.toMatchObject(planted);
    await unlink(join(folder, 'second'));
    expect(await store.has(NAME)).toBe(true);
  });

  it('D6 refuses a folder in place of an artifact', async () => {
    await mkdir(pathOf(NAME), { recursive: true });
    expect(await store.has(NAME)).toBe(false);
    await expect(store.open(NAME)).rejects.toMatchObject(planted);
  });

  it('D6 a put replaces a planted link and leaves its target alone', async () => {
    const target = join(folder, 'target');
    await writeFile(target, 'not yours');
    await mkdir(dirname(pathOf(NAME)));
    await symlink(target, pathOf(NAME));
    await put(BYTES);
    expect(await readBack(NAME)).toEqual(BYTES);
    expect(await readFile(target, 'utf8')).toBe('not yours');
  });
});

describe('D9 uploads that are not what they say', () => {
  it('D9 refuses a truncated upload and keeps nothing of it', async () => {
    await expect(put(BYTES.subarray(0, -1), BYTES)).rejects.toMatchObject({
      code: 'artifact-length-mismatch',
    });
    expect(await allFiles()).toEqual([]);
  });

  it('D9 stops reading at the first byte too many', async () => {
    let chunks = 0;
    const endless = new Readable({
      read() {
        chunks += 1;
        this.push(Buffer.alloc(65_536));
      },
    });
    const upload = store.put({ sha256: NAME, length: BYTES.length, source: endless });
    await expect(upload).rejects.toMatchObject({ code: 'artifact-length-mismatch' });
    expect(chunks).toBeLessThan(10);
    expect(await allFiles()).toEqual([]);
  });

  it('D9 refuses the right length with one bit flipped', async () => {
    const flipped = Buffer.from(BYTES);
    flipped[1000] = (flipped[1000] ?? 0) ^ 1;
    await expect(put(flipped, BYTES)).rejects.toMatchObject({ code: 'artifact-hash-mismatch' });
    expect(await allFiles()).toEqual([]);
  });

  it('D9 refuses an upload whose sender goes away', async () => {
    const source = Readable.from(
      (async function* () {
        yield BYTES.subarray(0, 1000);
        throw new Error('connection reset');
      })(),
    );
    const upload = store.put({ sha256: NAME, length: BYTES.length, source });
    await expect(upload).rejects.toMatchObject({ code: 'upload-interrupted' });
    expect(await allFiles()).toEqual([]);
  });

  it('D9 shows nothing under the name until the last byte was checked', async () => {
    const seen: boolean[] = [];
    const source = Readable.from(
      (async function* () {
        yield BYTES.subarray(0, -1);
        seen.push(await store.has(NAME));
        yield BYTES.subarray(-1);
        seen.push(await store.has(NAME));
      })(),
    );
    await store.put({ sha256: NAME, length: BYTES.length, source });
    expect(seen).toEqual([false, false]);
    expect(await store.has(NAME)).toBe(true);
  });
});
