import { Type } from 'typebox';
import { sha256, toHex } from '../../core/bytes.ts';
import type { AgentsApp } from '../doors.ts';
import { Problem } from '../problems.ts';
import type { RepositoryService } from '../services/repository.ts';

const Params = Type.Object(
  { file: Type.String({ pattern: '^(?:[1-9][0-9]{0,9}\\.)?[a-z0-9-]{1,80}\\.json$' }) },
  { additionalProperties: false },
);

/**
 * TUF metadata: public, signed, exactly the bytes that were published. A versioned file never changes;
 * the timestamp is asked for anew each time.
 */
export function registerMetadataRoutes(app: AgentsApp, on: { repository: RepositoryService }): void {
  app.get('/v1/tuf/:file', { schema: { params: Params } }, async (request, reply) => {
    const { file } = request.params;
    const bytes = on.repository.current()?.files.get(file);
    if (bytes === undefined) throw new Problem('metadata-unknown', `no metadata file ${file} is published`);
    const etag = `"${toHex(sha256(bytes))}"`;
    reply.headers({
      'content-type': 'application/json',
      'cache-control': file === 'timestamp.json' ? 'no-cache' : 'public, max-age=31536000, immutable',
      etag,
    });
    if (request.headers['if-none-match'] === etag) return reply.code(304).send();
    return reply.send(Buffer.from(bytes));
  });
}
