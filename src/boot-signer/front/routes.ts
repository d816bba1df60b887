import { createReadStream } from 'node:fs';
import type { FastifyRequest } from 'fastify';
import type { JsonObject } from '../../core/strict-json.ts';
import { type Config, imageKeysOf } from '../config.ts';
import { refuse } from '../errors.ts';
import { ADOPTION_ROLE } from '../request-types/adoption.ts';
import { clientOf } from './clients.ts';
import type { SignerApp } from './door.ts';
import { installImageRoutes } from './images.ts';
import type { KeyLink } from './key-link.ts';
import type { RequestTexts } from './request-texts.ts';
import type { Scheduler } from './scheduler.ts';

export interface RouteParts {
  readonly config: Config;
  readonly link: KeyLink;
  readonly texts: RequestTexts;
  readonly auditFile: string;
  /** Undefined when the service signs nothing by itself. */
  readonly scheduler: Pick<Scheduler, 'status'> | undefined;
  /** Called with the name of each step; tests end the process there. */
  readonly step: (name: string) => void;
}

// No wider than what the key process takes: a call that it does not know ends it.
const hex = { type: 'string', pattern: '^[0-9a-f]{64}$' };
const word = { type: 'string', pattern: '^[a-z0-9-]{1,64}$' };
const signature = { type: 'string', pattern: '^(?:[0-9a-f]{2}){1,4096}$' };
const object = (properties: object, required: readonly string[] = Object.keys(properties)) => ({
  type: 'object',
  additionalProperties: false,
  required,
  properties,
});

const SUBMISSION = object({
  type: word,
  role: word,
  keyIds: { type: 'array', maxItems: 64, items: hex },
  signed: { type: 'string', minLength: 2, maxLength: 4 * 1024 * 1024 },
});
interface SubmissionBody {
  type: string;
  role: string;
  keyIds: string[];
  signed: string;
}
interface ApprovalBody {
  keyId: string;
  signature: string;
}
type ById = { Params: { id: string } };
const BY_ID = { params: object({ id: { type: 'string', pattern: '^[0-9a-f]{32}$' } }) };

/** docs/signing-service.md, "Calls". */
export function installRoutes(app: SignerApp, parts: RouteParts): void {
  const { config, link, texts, auditFile, scheduler, step } = parts;
  const clientOfRequest = (request: FastifyRequest): string => clientOf(request.raw.socket, config.tcp);
  app.addHook('onRequest', async (request) => void clientOfRequest(request));

  if (imageKeysOf(config).size > 0)
    installImageRoutes(app, { folder: config.imagesDir, keepMs: config.requestMs });

  app.post<{ Body: SubmissionBody }>(
    '/v1/requests',
    { schema: { body: SUBMISSION } },
    async (request, reply) => {
      const { type, role, keyIds, signed } = request.body;
      if (keyIds.length === 0 && type !== ADOPTION_ROLE)
        refuse('request-invalid', 'say which keys are to sign');
      step('received');
      const outcome = await link.call({
        call: 'submit',
        type,
        role,
        keyIds,
        text: signed,
        client: clientOfRequest(request),
      });
      step('decided');
      const { state, signatures, request: view } = outcome as JsonObject;
      if (state === 'signed') return { state, signatures };
      if (state === 'adopted') return { state };
      await texts.save(signed);
      step('text-saved');
      return reply.code(202).send({ state: 'pending', request: view });
    },
  );

  app.get('/v1/requests', async () => ({ requests: await link.call({ call: 'requests' }) }));

  app.get<ById>('/v1/requests/:id', { schema: BY_ID }, async (request) => {
    const view = await findRequest(link, request.params.id);
    return { request: view, signed: await texts.load(String(view.sha256)) };
  });

  app.post<ById & { Body: ApprovalBody }>(
    '/v1/requests/:id/approvals',
    { schema: { ...BY_ID, body: object({ keyId: hex, signature }) } },
    async (request) => ({
      request: await link.call({ call: 'approve', id: request.params.id, ...request.body }),
    }),
  );

  app.post<ById & { Body: Partial<ApprovalBody> }>(
    '/v1/requests/:id/withdraw',
    { schema: { ...BY_ID, body: object({ keyId: hex, signature }, []) } },
    async (request) => {
      const { id } = request.params;
      const client = clientOfRequest(request);
      return { request: await link.call({ call: 'withdraw', id, client, ...request.body }) };
    },
  );

  app.get('/v1/keys', () => link.call({ call: 'keys' }));

  app.get('/v1/refresh', async () => scheduler?.status() ?? {});

  app.get('/v1/audit', (_request, reply) =>
    reply.type('application/jsonl').send(createReadStream(auditFile)),
  );
}

async function findRequest(link: KeyLink, id: string): Promise<JsonObject> {
  const requests = (await link.call({ call: 'requests' })) as readonly JsonObject[];
  return (
    requests.find((request) => request.id === id) ?? refuse('request-unknown', `there is no request ${id}`)
  );
}
