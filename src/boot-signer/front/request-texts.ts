import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256, toHex, utf8Bytes } from '../../core/bytes.ts';
import { writeFileDurably } from '../../core/durable-file.ts';
import { refuse } from '../errors.ts';

/**
 * The texts that wait for approvals, by hash. A text that is lost or changed is noticed by its hash and sent
 * again with the request that wants it.
 */
export function createRequestTexts(folder: string) {
  const fileOf = (hash: string): string => join(folder, hash);
  return {
    async save(text: string): Promise<void> {
      const contents = utf8Bytes(text);
      await writeFileDurably({ path: fileOf(toHex(sha256(contents))), contents, mode: 0o600, replace: true });
    },
    /** @throws {RefusedError} `request-unknown` */
    async load(hash: string): Promise<string> {
      const bytes = await readFile(fileOf(hash)).catch(() => undefined);
      if (bytes === undefined || toHex(sha256(bytes)) !== hash)
        return refuse('request-unknown', 'the text of the request is lost: whoever asked has to ask again');
      return bytes.toString('utf8');
    },
  };
}

export type RequestTexts = ReturnType<typeof createRequestTexts>;
