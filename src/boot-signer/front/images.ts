import { createHash } from 'node:crypto';
import { readdir, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { openTemporaryFile } from '../../core/durable-file.ts';
import { refuse } from '../errors.ts';
import { MAX_IMAGE_BYTES } from '../image-documents.ts';
import type { SignerApp } from './door.ts';

/** Of all images together: what waits for approvals, and a few more. */
const MAX_FOLDER_BYTES = 1024 * 1024 * 1024;

type ByHash = { Params: { sha256: string } };
const BY_HASH = {
  params: {
    type: 'object',
    additionalProperties: false,
    required: ['sha256'],
    properties: { sha256: { type: 'string', pattern: '^[0-9a-f]{64}$' } },
  },
};

/**
 * Images that are to be signed, by hash, for as long as a request for them may wait. What is here is only read by
 * the key process, which computes all that it signs from it.
 */
export function installImageRoutes(app: SignerApp, options: { folder: string; keepMs: number }): void {
  const pathOf = (sha256: string): string => join(options.folder, sha256);

  app.get<ByHash>('/v1/images/:sha256', { schema: BY_HASH }, async ({ params: { sha256 } }) => {
    const found = await stat(pathOf(sha256)).catch(() => undefined);
    if (found === undefined) return refuse('not-found', `there is no image ${sha256}`);
    return { sha256, length: found.size };
  });

  void app.register(async (uploads) => {
    uploads.addContentTypeParser('application/octet-stream', (_request, body, done) => done(null, body));
    uploads.put<ByHash & { Body: Readable }>(
      '/v1/images/:sha256',
      { schema: BY_HASH },
      async ({ params: { sha256 }, body }) => {
        const maxBytes = Math.min(MAX_IMAGE_BYTES, MAX_FOLDER_BYTES - (await sweep(options)));
        return {
          sha256,
          length: await storeImage(body, { path: pathOf(sha256), sha256, maxBytes, ...options }),
        };
      },
    );
  });
}

/** @returns bytes that stay */
async function sweep({ folder, keepMs }: { folder: string; keepMs: number }): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const found = await stat(path).catch(() => undefined);
    if (found === undefined) continue;
    if (found.mtimeMs < Date.now() - keepMs) await unlink(path).catch(() => undefined);
    else bytes += found.size;
  }
  return bytes;
}

async function storeImage(
  body: Readable,
  { folder, path, sha256, maxBytes }: { folder: string; path: string; sha256: string; maxBytes: number },
): Promise<number> {
  const hash = createHash('sha256');
  const file = await openTemporaryFile(folder);
  let length = 0;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > maxBytes) refuse('body-too-large', `there is room for ${maxBytes} bytes: try again later`);
      hash.update(chunk);
      await file.handle.writeFile(chunk);
    }
    const found = hash.digest('hex');
    if (found !== sha256) refuse('image-refused', `the image has SHA-256 ${found}`);
    await file.commit(path, { replace: true });
    return length;
  } finally {
    await file.discard();
  }
}
