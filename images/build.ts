import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { concatBytes, sha256, toHex } from '../src/core/bytes.ts';
import { messageOf } from '../src/core/errors.ts';
import { writeCpio } from '../src/signing/efi/cpio.ts';
import { MAX_STAGE0_BYTES } from '../src/signing/efi/stage0-image.ts';
import { type BaseImage, buildBaseImage } from './base-image.ts';
import { ImageBuildError } from './build-error.ts';
import { demoOsLayer } from './demo-os/layer.ts';
import { fetchPackages, resolveAgain } from './package-cache.ts';
import {
  diffPackagesLocks,
  formatPackagesLock,
  type LockedPackage,
  parsePackagesLock,
} from './packages-lock.ts';
import { openPrivateApt } from './private-apt.ts';
import { agentLayer } from './stage0/agent-layer.ts';
import { AIMED_IMAGE_BYTES, OS_RELEASE } from './stage0/recipe.ts';

const REPOSITORY = join(import.meta.dirname, '..');
const LOCK_FILE = join(import.meta.dirname, 'packages.lock');
const USAGE = 'usage: node images/build.ts [--out FOLDER] [--update-lock]';

function main(): void {
  const { values } = parseArgs({ options: { out: { type: 'string' }, 'update-lock': { type: 'boolean' } } });
  const out = values.out ?? join(REPOSITORY, 'build');
  const cache = join(out, 'cache');
  mkdirSync(cache, { recursive: true });
  const started = performance.now();
  if (values['update-lock'] === true) updateLock(cache);
  const packages = lockedPackages(out, cache);
  const base = buildBaseImage(cache, packages);
  const stage0 = writeStage0(out, base, packages);
  const demoOs = writeDemoOs(out, base);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(
    `images: stage-0 ${megabytes(stage0)} before configuration, demo OS ${megabytes(demoOs)}, ${seconds} s`,
  );
}

function lockedPackages(out: string, cache: string): LockedPackage[] {
  const fetched = fetchPackages(cache, parsePackagesLock(readFileSync(LOCK_FILE, 'utf8')));
  if (fetched.differences.length > 0) {
    const path = join(out, 'packages.lock.resolved');
    writeFileSync(path, formatPackagesLock(fetched.packages));
    console.warn('NOTICE: the mirrors no longer have a package of images/packages.lock. Resolved again:');
    for (const line of fetched.differences) console.warn(`  ${line}`);
    console.warn(`The images are NOT those of the lock. The new list is in ${path};`);
    console.warn('`node images/build.ts --update-lock` makes it the lock.');
  }
  return fetched.packages;
}

function updateLock(cache: string): void {
  const before = parsePackagesLock(readFileSync(LOCK_FILE, 'utf8'));
  const after = resolveAgain(openPrivateApt(join(cache, 'apt')), before);
  for (const line of diffPackagesLocks(before, after)) console.log(line);
  writeFileSync(LOCK_FILE, formatPackagesLock(after));
}

function writeStage0(out: string, base: BaseImage, packages: readonly LockedPackage[]): number {
  const agent = writeCpio(agentLayer(join(REPOSITORY, 'agent')));
  const initramfs = concatBytes(agent, base.userland);
  const total = base.kernel.length + base.stub.length + initramfs.length;
  if (total > MAX_STAGE0_BYTES)
    throw new ImageBuildError(
      'image-too-large',
      `stage-0 has ${total} bytes, ${MAX_STAGE0_BYTES} are allowed`,
    );
  if (total > AIMED_IMAGE_BYTES)
    console.warn(`NOTICE: stage-0 is above its aim of ${megabytes(AIMED_IMAGE_BYTES)}`);
  writeFolder(join(out, 'stage0'), {
    vmlinuz: base.kernel,
    'initramfs.cpio.zst': initramfs,
    'linuxx64.efi.stub': base.stub,
    'os-release': Buffer.from(OS_RELEASE),
    'sizes.json': json({
      totalBytes: total,
      kernelBytes: base.kernel.length,
      stubBytes: base.stub.length,
      agentBytes: agent.length,
      userlandBytes: base.userland.length,
      userlandFiles: base.facts.files,
    }),
    'build-info.json': json({
      kernelVersion: base.facts.kernelVersion,
      kernelAuthenticodeSha256: base.facts.kernelAuthenticodeSha256,
      initramfsSha256: toHex(sha256(initramfs)),
      packages: packages.map(({ name, version }) => `${name} ${version}`),
    }),
  });
  return total;
}

function writeDemoOs(out: string, base: BaseImage): number {
  const initramfs = concatBytes(writeCpio(demoOsLayer(join(REPOSITORY, 'agent'))), base.userland);
  writeFolder(join(out, 'demo-os'), { vmlinuz: base.kernel, 'initramfs.cpio.zst': initramfs });
  return base.kernel.length + initramfs.length;
}

/** Each file is old or new, never partial: someone may be reading. What is the same is left alone. */
function writeFolder(folder: string, files: Readonly<Record<string, Uint8Array>>): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, data] of Object.entries(files)) {
    const path = join(folder, name);
    if (existsSync(path) && readFileSync(path).equals(data)) continue;
    writeFileSync(`${path}.${process.pid}`, data);
    renameSync(`${path}.${process.pid}`, path);
  }
}

const json = (value: unknown): Buffer => Buffer.from(`${JSON.stringify(value, null, 2)}\n`);

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;

try {
  main();
} catch (error) {
  const isOurs = error instanceof ImageBuildError || (error instanceof Error && 'code' in error);
  console.error(`images: ${messageOf(error)}${isOurs ? '' : `\n${USAGE}`}`);
  process.exitCode = 1;
}
