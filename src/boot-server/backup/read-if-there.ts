import { readFile } from 'node:fs/promises';
import { isErrno } from '../../signing/keys/key-file.ts';

export async function readIfThere(path: string): Promise<Buffer | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (isErrno(error, 'ENOENT')) return undefined;
    throw error;
  });
}
