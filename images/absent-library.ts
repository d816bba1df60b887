import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ImageBuildError } from './build-error.ts';
import { type ExtractedRoot, LIBRARY_FOLDER } from './extracted-root.ts';
import { type ImportedSymbol, importedSymbols } from './shared-libraries.ts';
import type { AbsentLibrary } from './stage0/recipe.ts';

const NO_EXECUTABLE_STACK = '.section .note.GNU-stack,"",@progbits\n';
/** The size of an imported symbol is known only where the program copies it. */
const SMALLEST_DATA_BYTES = 8;

/**
 * Builds the stand-in for a library that an image leaves out: same name, same symbols and versions, every
 * function returns at once. Made with the locked assembler and linker, so the same on every machine.
 */
export function buildAbsentLibrary(
  root: ExtractedRoot,
  library: AbsentLibrary,
  scratchFolder: string,
): Buffer {
  const user = library.neededBy.startsWith('usr/')
    ? library.neededBy
    : `${LIBRARY_FOLDER}/${library.neededBy}`;
  const symbols = importedSymbols(root, user, library.symbols);
  if (symbols.length === 0)
    throw new ImageBuildError(
      'recipe-broken',
      `${library.neededBy} uses nothing of ${library.soname} any more`,
    );
  const folder = mkdtempSync(join(scratchFolder, 'absent-'));
  try {
    writeFileSync(join(folder, 'stub.s'), assembly(symbols, library.result));
    writeFileSync(join(folder, 'stub.map'), versionScript(symbols));
    root.run('usr/bin/x86_64-linux-gnu-as', ['-o', 'stub.o', 'stub.s'], { folder });
    const output = ['--soname', library.soname, '-o', 'stub.so', 'stub.o'];
    const layout = ['--build-id=none', '-z', 'noexecstack', '-z', 'max-page-size=4096', '--strip-all'];
    root.run(
      'usr/bin/x86_64-linux-gnu-ld.bfd',
      ['-shared', ...layout, '--version-script', 'stub.map', ...output],
      { folder },
    );
    return readFileSync(join(folder, 'stub.so'));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** x86-64 System V ABI: the result is in rax. */
function assembly(symbols: readonly ImportedSymbol[], result: 0 | -1): string {
  const functions = symbols.filter(({ dataBytes }) => dataBytes === undefined);
  const labels = functions.map(({ name }) => `.globl ${name}\n.type ${name}, @function\n${name}:\n`).join('');
  return `.text\n${labels}mov $${result}, %rax\nret\n${symbols.map(zeroedData).join('')}${NO_EXECUTABLE_STACK}`;
}

function zeroedData({ name, dataBytes }: ImportedSymbol): string {
  if (dataBytes === undefined) return '';
  const bytes = Math.max(dataBytes, SMALLEST_DATA_BYTES);
  return `.bss\n.balign 16\n.globl ${name}\n.type ${name}, @object\n.size ${name}, ${bytes}\n${name}: .zero ${bytes}\n`;
}

function versionScript(symbols: readonly ImportedSymbol[]): string {
  const versions = new Set(symbols.map(({ version }) => version));
  if (versions.size !== 1)
    throw new ImageBuildError('recipe-broken', 'the symbols of an absent library have several versions');
  const [version = ''] = versions;
  return `${version} { global: ${symbols.map(({ name }) => `${name};`).join(' ')} local: *; };\n`;
}
