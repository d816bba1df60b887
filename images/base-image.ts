import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { constants, zstdCompressSync } from 'node:zlib';
import { toHex } from '../src/core/bytes.ts';
import { authenticodeSha256 } from '../src/signing/efi/authenticode.ts';
import { type CpioEntry, writeCpio } from '../src/signing/efi/cpio.ts';
import { stripSignatures } from '../src/signing/efi/pe.ts';
import { extractPackages } from './extracted-root.ts';
import { kernelVersion } from './kernel-modules.ts';
import { packageFile } from './package-cache.ts';
import { formatPackagesLock, type LockedPackage } from './packages-lock.ts';
import { assembleUserland } from './userland.ts';

/** What Debian's packages alone give: slow to make, and made again only when lock or recipe change. */
export interface BaseImage {
  kernel: Buffer;
  stub: Buffer;
  /** A zstd-compressed archive. */
  userland: Buffer;
  facts: BaseFacts;
}

export interface BaseFacts {
  kernelVersion: string;
  /** Of the kernel without Debian's signature; Debian's signature covers the same digest. */
  kernelAuthenticodeSha256: string;
  /** Largest first; compressed one by one, so their sum is a little more than the archive. */
  files: { path: string; bytes: number; compressedBytes: number }[];
}

const IMAGES_FOLDER = import.meta.dirname;
const STUB = 'usr/lib/systemd/boot/efi/linuxx64.efi.stub';
const COMPRESSION_LEVEL = 19;
const LISTED_FILE_BYTES = 8 * 1024;

/** Cached below `cacheFolder` under the hash of everything that it depends on; the one before is dropped. */
export function buildBaseImage(cacheFolder: string, packages: readonly LockedPackage[]): BaseImage {
  const name = `base-${recipeHash(packages)}`;
  if (!existsSync(join(cacheFolder, name))) {
    console.log(`images: unpacking and compressing ${packages.length} Debian packages, once`);
    removeAbandonedBuilds(cacheFolder);
    const scratch = mkdtempSync(join(cacheFolder, `building-${process.pid}-`));
    try {
      makeBaseImage(cacheFolder, packages, scratch);
      publish(join(scratch, 'base'), cacheFolder, name);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
  }
  return readBaseImage(join(cacheFolder, name));
}

/** Whole or not at all. Of two builds at once one wins: their results are the same. */
function publish(made: string, cacheFolder: string, name: string): void {
  if (!existsSync(join(cacheFolder, name))) renameSync(made, join(cacheFolder, name));
  for (const other of readdirSync(cacheFolder))
    if (other.startsWith('base-') && other !== name) rmSync(join(cacheFolder, other), { recursive: true });
}

/** What an interrupted build left: hundreds of megabytes of unpacked packages. */
function removeAbandonedBuilds(cacheFolder: string): void {
  for (const name of readdirSync(cacheFolder)) {
    const builder = /^building-([0-9]+)-/.exec(name)?.[1];
    if (builder !== undefined && !existsSync(`/proc/${builder}`))
      rmSync(join(cacheFolder, name), { recursive: true, force: true });
  }
}

function readBaseImage(folder: string): BaseImage {
  const read = (name: string) => readFileSync(join(folder, name));
  return {
    kernel: read('vmlinuz'),
    stub: read('linuxx64.efi.stub'),
    userland: read('userland.cpio.zst'),
    facts: JSON.parse(read('facts.json').toString()) as BaseFacts,
  };
}

function makeBaseImage(cacheFolder: string, packages: readonly LockedPackage[], scratch: string): void {
  const files = packages.map((entry) => packageFile(cacheFolder, entry));
  const root = extractPackages(files, join(scratch, 'root'));
  const entries = assembleUserland(root, scratch);
  const kernel = stripSignatures(root.read(`boot/vmlinuz-${kernelVersion(root)}`));
  const facts: BaseFacts = {
    kernelVersion: kernelVersion(root),
    kernelAuthenticodeSha256: toHex(authenticodeSha256(kernel)),
    files: sizesOf(entries),
  };
  const target = join(scratch, 'base');
  mkdirSync(target);
  writeFileSync(join(target, 'vmlinuz'), kernel);
  writeFileSync(join(target, 'linuxx64.efi.stub'), root.read(STUB));
  writeFileSync(join(target, 'userland.cpio.zst'), compress(writeCpio(entries)));
  writeFileSync(join(target, 'facts.json'), `${JSON.stringify(facts, null, 2)}\n`);
}

function sizesOf(entries: readonly CpioEntry[]): BaseFacts['files'] {
  return entries
    .flatMap((entry) => (entry.type === 'file' && entry.data.length >= LISTED_FILE_BYTES ? [entry] : []))
    .map(({ path, data }) => ({ path, bytes: data.length, compressedBytes: compress(data).length }))
    .sort((a, b) => b.compressedBytes - a.compressedBytes || (a.path < b.path ? -1 : 1));
}

/** One thread and a fixed level: the same bytes from the same pinned runtime. */
function compress(data: Uint8Array): Buffer {
  return zstdCompressSync(data, { params: { [constants.ZSTD_c_compressionLevel]: COMPRESSION_LEVEL } });
}

/** Of the lock, of every source file that has a part in the result, and of the library that compresses. */
function recipeHash(packages: readonly LockedPackage[]): string {
  const hash = createHash('sha256')
    .update(formatPackagesLock(packages))
    .update(process.versions.zstd ?? '');
  const recipes = [IMAGES_FOLDER, join(IMAGES_FOLDER, 'stage0')].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts'))
      .sort()
      .map((name) => join(folder, name)),
  );
  const formats = ['cpio.ts', 'pe.ts'].map((name) => join(IMAGES_FOLDER, '../src/signing/efi', name));
  for (const file of [...recipes, ...formats]) hash.update(readFileSync(file));
  return hash.digest('hex').slice(0, 16);
}
