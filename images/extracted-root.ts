import { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { ImageBuildError } from './build-error.ts';
import { runTool } from './run-tool.ts';

/** Debian packages unpacked side by side; paths are those of a system whose /bin, /sbin, /lib* are in /usr. */
export interface ExtractedRoot {
  /** The file's place on this machine, links followed inside the root. */
  locate(path: string): string;
  read(path: string): Buffer;
  list(path: string): string[];
  /** Runs one of its programs on this machine, with its own C library and libraries. */
  run(path: string, args: readonly string[], options?: RunOptions): string;
}

export interface RunOptions {
  /** Searched before the root's own libraries. */
  libraries?: string;
  folder?: string;
  /** For programs that look at the name they are called by. */
  calledAs?: string;
  /** Resolve every symbol at start: a missing one fails now. */
  bindNow?: boolean;
}

export const LIBRARY_FOLDER = 'usr/lib/x86_64-linux-gnu';
const LOADER = 'usr/lib64/ld-linux-x86-64.so.2';
const MAX_LINKS = 8;

export function extractPackages(packageFiles: readonly string[], folder: string): ExtractedRoot {
  mkdirSync(folder, { recursive: true });
  for (const file of packageFiles) runTool('dpkg-deb', ['--extract', file, folder]);
  return openExtractedRoot(folder);
}

function openExtractedRoot(folder: string): ExtractedRoot {
  // Debian 12 packages still ship some files in /bin, /sbin and /lib.
  const places = (path: string) => [join(folder, path), join(folder, path.replace(/^usr\//, ''))];
  const find = (path: string) => places(path).find((place) => exists(place));
  const locate = (path: string, links = 0): string => {
    const place = find(path);
    if (place === undefined || links > MAX_LINKS)
      throw new ImageBuildError('recipe-broken', `no locked package has /${path}`);
    if (!lstatSync(place).isSymbolicLink()) return place;
    // Links are followed inside the root: absolute ones would lead to this machine's own files.
    return locate(resolve('/', dirname(path), readlinkSync(place)).slice(1), links + 1);
  };
  return {
    locate: (path) => locate(path),
    read: (path) => readFileSync(locate(path)),
    list: (path) =>
      [...new Set(places(path).flatMap((place) => (existsSync(place) ? readdirSync(place) : [])))].sort(),
    run: (path, args, options = {}) => {
      const own = places(LIBRARY_FOLDER).join(':');
      const search = options.libraries === undefined ? own : `${options.libraries}:${own}`;
      const name = options.calledAs ?? basename(path);
      const program = ['--library-path', search, '--argv0', name, locate(path), ...args];
      return runTool(locate(LOADER), program, {
        ...(options.folder === undefined ? {} : { folder: options.folder }),
        ...(options.bindNow === true ? { environment: { LD_BIND_NOW: '1' } } : {}),
      });
    },
  };
}

/** Also true of a link that dangles here because it is absolute. */
function exists(place: string): boolean {
  return lstatSync(place, { throwIfNoEntry: false }) !== undefined;
}
