import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Measurement } from './bench-process.ts';

const AIM_MIB = 16;
const LARGEST_FILES = 8;

interface Sizes {
  totalBytes: number;
  kernelBytes: number;
  stubBytes: number;
  agentBytes: number;
  userlandBytes: number;
  userlandFiles: { path: string; bytes: number; compressedBytes: number }[];
}

/** Stage-0 as `make images` built it, and what it consists of: a server adds some 10 KB of configuration. */
export function measureImages(build: string): Measurement[] {
  const file = join(build, 'stage0', 'sizes.json');
  if (!existsSync(file)) return [];
  const sizes = JSON.parse(readFileSync(file, 'utf8')) as Sizes;
  const largest = sizes.userlandFiles.slice(0, LARGEST_FILES);
  return [
    { name: 'stage-0, MiB', value: mebibytes(sizes.totalBytes), aim: `≤ ${AIM_MIB}, never above 24` },
    { name: 'its kernel', value: mebibytes(sizes.kernelBytes), aim: '' },
    { name: 'its userland, compressed', value: mebibytes(sizes.userlandBytes), aim: '' },
    { name: 'the agent', value: mebibytes(sizes.agentBytes), aim: '' },
    { name: 'the EFI stub', value: mebibytes(sizes.stubBytes), aim: '' },
    ...largest.map(({ path, compressedBytes }) => ({
      name: `in the userland: ${path.split('/').at(-1)}`,
      value: mebibytes(compressedBytes),
      aim: '',
    })),
  ];
}

const mebibytes = (bytes: number): string => (bytes / 2 ** 20).toFixed(2);
