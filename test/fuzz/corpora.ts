import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CORPORA } from '../corpora.ts';

/** Third-party files as further seeds, read where they lie; none when they are not there. */
export function corpusFiles(folder: string, suffix = ''): Uint8Array[] {
  const path = join(CORPORA, folder);
  if (!existsSync(path)) return [];
  return readdirSync(path, { withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(suffix))
    .map(({ name }) => readFileSync(join(path, name)));
}
