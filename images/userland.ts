import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CpioEntry } from '../src/signing/efi/cpio.ts';
import { buildAbsentLibrary } from './absent-library.ts';
import { type ExtractedRoot, LIBRARY_FOLDER } from './extracted-root.ts';
import { collectKernelModules } from './kernel-modules.ts';
import { libraryClosure } from './shared-libraries.ts';
import {
  ABSENT_LIBRARIES,
  EMPTY_FOLDERS,
  KERNEL_MODULES,
  PROGRAMS,
  RUNTIME_LIBRARIES,
  TEXT_FILES,
  UNWANTED_APPLETS,
} from './stage0/recipe.ts';

const MERGED_FOLDERS = ['bin', 'sbin', 'lib', 'lib64'] as const;
const LOADER = 'usr/lib64/ld-linux-x86-64.so.2';

/** Every file of the userland that stage-0 and the demo OS share, in no particular order. */
export function assembleUserland(root: ExtractedRoot, scratchFolder: string): CpioEntry[] {
  const absent = ABSENT_LIBRARIES.map((library) =>
    executable(`${LIBRARY_FOLDER}/${library.soname}`, buildAbsentLibrary(root, library, scratchFolder)),
  );
  const replaced = new Set(ABSENT_LIBRARIES.map(({ soname }) => soname));
  const runtime = RUNTIME_LIBRARIES.map((soname) => `${LIBRARY_FOLDER}/${soname}`);
  const libraries = libraryClosure(root, [...PROGRAMS, ...runtime], replaced);
  const files = [
    ...PROGRAMS,
    ...runtime,
    ...libraries.map((soname) => `${LIBRARY_FOLDER}/${soname}`),
    LOADER,
  ];
  requireEveryProgramStarts(root, absent, scratchFolder);
  return [
    ...absent,
    ...files.map((path) => executable(path, root.read(path))),
    ...links(root),
    ...collectKernelModules(root, KERNEL_MODULES, scratchFolder),
    ...EMPTY_FOLDERS.map(
      (path): CpioEntry => ({ type: 'directory', path, mode: path === 'tmp' ? 0o1777 : 0o755 }),
    ),
    ...Object.entries(TEXT_FILES).map(([path, text]) => plain(path, Buffer.from(text))),
    plain('usr/lib/ssl/openssl.cnf', root.read('etc/ssl/openssl.cnf')),
  ];
}

function links(root: ExtractedRoot): CpioEntry[] {
  const applets = root.run('usr/bin/busybox', ['--list']).split('\n');
  const wanted = applets.filter((name) => name !== '' && !UNWANTED_APPLETS.includes(name));
  const tpmTools = root.list('usr/bin').filter((name) => name.startsWith('tpm2_'));
  return [
    ...MERGED_FOLDERS.map((path) => symlink(path, `usr/${path}`)),
    ...wanted.map((name) => symlink(`usr/bin/${name}`, 'busybox')),
    ...tpmTools.map((name) => symlink(`usr/bin/${name}`, 'tpm2')),
  ];
}

/** A library with a symbol missing would show only when a machine boots: bind all of them here and now. */
function requireEveryProgramStarts(
  root: ExtractedRoot,
  absent: readonly CpioEntry[],
  scratchFolder: string,
): void {
  const libraries = join(scratchFolder, 'absent');
  mkdirSync(libraries);
  try {
    for (const entry of absent)
      if (entry.type === 'file')
        writeFileSync(join(scratchFolder, 'absent', entry.path.split('/').at(-1) ?? ''), entry.data);
    for (const [program, argument] of [
      ['usr/bin/curl', '--help'],
      ['usr/bin/jq', '--version'],
      ['usr/bin/openssl', 'version'],
      ['usr/bin/tpm2', '--version'],
      ['usr/sbin/kexec', '--version'],
    ] as const)
      root.run(program, [argument], { libraries, bindNow: true });
  } finally {
    rmSync(libraries, { recursive: true, force: true });
  }
}

const executable = (path: string, data: Uint8Array): CpioEntry => ({ type: 'file', path, mode: 0o755, data });
const plain = (path: string, data: Uint8Array): CpioEntry => ({ type: 'file', path, mode: 0o644, data });
const symlink = (path: string, target: string): CpioEntry => ({ type: 'symlink', path, target });
