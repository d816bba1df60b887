import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { CpioEntry } from '../src/signing/efi/cpio.ts';
import { ImageBuildError } from './build-error.ts';
import type { ExtractedRoot } from './extracted-root.ts';

/** busybox modprobe reads these two; the rest of what depmod writes is for kmod. */
const INDEX_FILES = ['modules.dep', 'modules.alias'] as const;
/** For insmod: one path a line, relative to this file's folder. */
const LOAD_ORDER = 'usr/lib/modules/bootward/order';
const LISTS_OF_KERNEL = ['modules.builtin', 'modules.builtin.modinfo', 'modules.order'] as const;

export function kernelVersion(root: ExtractedRoot): string {
  const [version, second] = root.list('usr/lib/modules');
  if (version === undefined || second !== undefined)
    throw new ImageBuildError('recipe-broken', 'the packages must hold exactly one kernel');
  return version;
}

/** The wanted modules and what they depend on, untouched (they are signed), with an index for modprobe. */
export function collectKernelModules(
  root: ExtractedRoot,
  wanted: readonly string[],
  scratchFolder: string,
): CpioEntry[] {
  const version = kernelVersion(root);
  const source = root.locate(`usr/lib/modules/${version}`);
  const paths = moduleClosure(source, wanted);
  const base = join(scratchFolder, 'modules');
  const target = join(base, 'lib/modules', version);
  try {
    for (const path of [...paths, ...LISTS_OF_KERNEL]) copy(join(source, path), join(target, path));
    root.run('usr/bin/kmod', ['-b', base, version], { calledAs: 'depmod' });
    const file = (path: string, data: Buffer): CpioEntry => ({ type: 'file', path, mode: 0o644, data });
    const order = paths.map((path) => `../${version}/${path}\n`).join('');
    return [
      ...[...paths, ...INDEX_FILES].map((path) =>
        file(`usr/lib/modules/${version}/${path}`, readFileSync(join(target, path))),
      ),
      file(LOAD_ORDER, Buffer.from(order)),
    ];
  } finally {
    rmSync(base, { recursive: true, force: true });
  }
}

/** In an order in which they can be loaded one by one: dependencies first. */
function moduleClosure(source: string, wanted: readonly string[]): string[] {
  const pathOf = new Map(
    readdirSync(source, { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ko'))
      .map((path) => [canonicalName(basename(path, '.ko')), path]),
  );
  const loaded = new Set<string>();
  const load = (name: string): void => {
    const path = pathOf.get(canonicalName(name));
    if (path === undefined) throw new ImageBuildError('recipe-broken', `this kernel has no module ${name}`);
    if (loaded.has(path)) return;
    for (const dependency of dependenciesOf(readFileSync(join(source, path)))) load(dependency);
    loaded.add(path);
  };
  for (const name of wanted) load(name);
  return [...loaded];
}

/** The `depends=` entry of the module's .modinfo section. */
function dependenciesOf(module: Buffer): string[] {
  const entry = module.indexOf('\0depends=');
  if (entry < 0)
    throw new ImageBuildError('recipe-broken', 'a kernel module does not say what it depends on');
  const start = entry + '\0depends='.length;
  const list = module.subarray(start, module.indexOf(0, start)).toString('latin1');
  return list.split(',').filter((name) => name !== '');
}

function canonicalName(name: string): string {
  return name.replaceAll('-', '_');
}

function copy(from: string, to: string): void {
  mkdirSync(dirname(to), { recursive: true });
  cpSync(from, to);
}
