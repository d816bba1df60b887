import { Readable } from 'node:stream';
import { Type } from 'typebox';
import { utf8Bytes } from '../../../core/bytes.ts';
import type { Clock } from '../../../core/clock.ts';
import type { ChannelStore } from '../../../releases/channel-store.ts';
import type { ServerKey } from '../../../signing/keys/server-key.ts';
import type { ArtifactStore } from '../../../storage/artifact-store.ts';
import type { OperatorsApp } from '../../doors.ts';
import { Problem } from '../../problems.ts';
import type { RepositoryService } from '../../services/repository.ts';
import { removeUnusedArtifacts } from '../../services/unused-artifacts.ts';
import { Sha256Hex } from '../wire.ts';

const closed = { additionalProperties: false };
const MAX_METADATA_BYTES = 16 * 1024 * 1024;
const Params = Type.Object({ sha256: Sha256Hex }, closed);

const MetadataBody = Type.Object(
  {
    files: Type.Record(
      Type.String({ pattern: '^(?:[1-9][0-9]{0,9}\\.)?[a-z0-9-]{1,80}\\.json$' }),
      Type.String(),
      {
        ...closed,
        minProperties: 1,
        maxProperties: 1000,
      },
    ),
  },
  closed,
);

/** Publishing: artifacts by hash first, the metadata that lists them last. */
export function registerReleaseRoutes(
  app: OperatorsApp,
  on: {
    artifacts: ArtifactStore;
    repository: RepositoryService;
    grantKey: ServerKey;
    maxArtifactBytes: number;
    channels: ChannelStore;
    clock: Clock;
  },
): void {
  app.get('/admin/v1/grant-keys', async () => ({ [on.grantKey.keyId]: on.grantKey.key }));

  /** A damaged artifact counts as none, so that publishing again sends and repairs it; no other is removed meanwhile. */
  app.head('/admin/v1/artifacts/:sha256', { schema: { params: Params } }, async (request, reply) => {
    const intact = await on.artifacts.renew(request.params.sha256);
    return reply.code(intact ? 200 : 404).send();
  });

  app.post(
    '/admin/v1/artifacts/remove-unused',
    { schema: { body: Type.Object({ dryRun: Type.Boolean() }, closed) } },
    ({ body }) => removeUnusedArtifacts({ ...on, ...body }),
  );

  app.register(async (uploads: OperatorsApp) => registerUploads(uploads, on));

  app.post(
    '/admin/v1/metadata',
    { schema: { body: MetadataBody }, bodyLimit: MAX_METADATA_BYTES },
    async (request) => {
      const files = new Map(
        Object.entries(request.body.files).map(([name, text]) => [name, utf8Bytes(text)] as const),
      );
      const { verified } = await on.repository.publish(files);
      return {
        versions: Object.fromEntries([...verified.roles].map(([role, { version }]) => [role, version])),
        grantKeyNamed: verified.grantKeys.has(on.grantKey.keyId),
      };
    },
  );
}

/** In a scope of its own: here a body is a stream and nothing else, everywhere else it is JSON. */
function registerUploads(
  app: OperatorsApp,
  on: { artifacts: ArtifactStore; maxArtifactBytes: number },
): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/octet-stream',
    async (_request: unknown, payload: Readable) => payload,
  );

  app.put(
    '/admin/v1/artifacts/:sha256',
    { schema: { params: Params }, bodyLimit: on.maxArtifactBytes },
    async (request, reply) => {
      if (!(request.body instanceof Readable))
        throw new Problem('content-type-unsupported', 'an upload is application/octet-stream');
      const length = contentLengthOf(request.headers['content-length'], on.maxArtifactBytes);
      const { sha256 } = request.params;
      const { stored } = await on.artifacts.put({ sha256, length, source: request.body });
      return reply.code(stored ? 201 : 200).send({ sha256, length });
    },
  );
}

function contentLengthOf(header: string | undefined, maxBytes: number): number {
  const length = /^(?:0|[1-9][0-9]{0,14})$/.test(header ?? '') ? Number(header) : undefined;
  if (length === undefined) throw new Problem('request-invalid', 'an upload needs its exact Content-Length');
  if (length > maxBytes)
    throw new Problem('body-too-large', `an artifact has at most ${maxBytes} bytes here`);
  return length;
}
