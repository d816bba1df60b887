import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256, toBase64, toHex } from '../../src/core/bytes.ts';
import type { Finding } from './campaign.ts';

const FOLDER = 'build/fuzz';
const MAX_PRINTED_BYTES = 2048;

/** Keeps a finding's input in a file; returns what to tell about it. */
export async function saveReproducer(target: string, seed: number, finding: Finding): Promise<string> {
  const { input, what } = finding;
  const path = join(FOLDER, `${target}-${toHex(sha256(input)).slice(0, 12)}`);
  await mkdir(FOLDER, { recursive: true });
  await writeFile(path, input);
  const printed = input.length <= MAX_PRINTED_BYTES ? `\n  base64: ${toBase64(input)}` : '';
  return [
    `${target}: ${what}`,
    `  seed: ${seed}; input: ${input.length} bytes in ${path}${printed}`,
    `  again: node test/fuzz/run.ts --target ${target} --input ${path}`,
  ].join('\n');
}
