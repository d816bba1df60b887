import { type ExtractedRoot, LIBRARY_FOLDER } from './extracted-root.ts';

const READELF = 'usr/bin/x86_64-linux-gnu-readelf';

/** The dynamic loader's names: found by the kernel, not in the library folder. */
const LOADER = 'ld-linux-x86-64.so.2';

/**
 * Every library that `files` need, directly or through others, except those in `replaced`. The order is
 * that of discovery and so the same every time.
 */
export function libraryClosure(
  root: ExtractedRoot,
  files: readonly string[],
  replaced: ReadonlySet<string>,
): string[] {
  const found = new Set<string>();
  const queue = [...files];
  for (let file = queue.shift(); file !== undefined; file = queue.shift())
    for (const soname of neededLibraries(root, file)) {
      if (found.has(soname) || replaced.has(soname) || soname === LOADER) continue;
      found.add(soname);
      queue.push(`${LIBRARY_FOLDER}/${soname}`);
    }
  return [...found];
}

export interface ImportedSymbol {
  name: string;
  /** The version that it is bound to, if it has one. */
  version: string | undefined;
  /** Of data that the program copies to itself at start; undefined for functions. */
  dataBytes: number | undefined;
}

/** The dynamic symbols with matching names that `file` takes from libraries. */
export function importedSymbols(root: ExtractedRoot, file: string, names: RegExp): ImportedSymbol[] {
  const lines = root.run(READELF, ['--dyn-syms', '--wide', root.locate(file)]).split('\n');
  return lines.flatMap((line) => {
    // Num: Value Size Type Bind Vis Ndx Name@Version
    const [, , size, type, , , , symbol = ''] = line.trim().split(/\s+/);
    const [name = '', version] = symbol.split('@');
    if (!names.test(name)) return [];
    return [{ name, version, dataBytes: type === 'OBJECT' ? Number(size) : undefined }];
  });
}

function neededLibraries(root: ExtractedRoot, file: string): string[] {
  const dynamic = root.run(READELF, ['--dynamic', '--wide', root.locate(file)]);
  return [...dynamic.matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map((match) => match[1] ?? '');
}
