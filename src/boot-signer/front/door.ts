import type { Server } from 'node:http';
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyReply,
  LogController,
} from 'fastify';
import type { Logger } from 'pino';
import { CodedError, messageOf } from '../../core/errors.ts';
import { parseStrictJson } from '../../core/strict-json.ts';
import { isProblemCode, PROBLEMS, type ProblemCode, RefusedError, refuse } from '../errors.ts';

export type SignerApp = FastifyInstance<Server>;

export const MAX_BODY_BYTES = 5 * 1024 * 1024;
const TIMEOUTS = {
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 15_000,
  maxHeaderSize: 16_384,
};
const MAX_CONNECTIONS = 256;

export interface TlsFiles {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

/** Refusals and failures are logged where they are answered; what was signed is in the audit log. */
class QuietLogController extends LogController {
  override incomingRequest(): void {}
  override requestCompleted(): void {}
}

/** HTTP/1.1 as every client of the service meets it. @param tls mutual, by certificates of this CA only */
export function createSignerApp(logger: Logger, tls?: TlsFiles): SignerApp {
  const common = {
    loggerInstance: logger as FastifyBaseLogger,
    logController: new QuietLogController(),
    bodyLimit: MAX_BODY_BYTES,
    exposeHeadRoutes: false,
    keepAliveTimeout: TIMEOUTS.keepAliveTimeout,
    requestTimeout: TIMEOUTS.requestTimeout,
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: false },
    },
  } as const;
  const mutual = {
    ...TIMEOUTS,
    ...tls,
    minVersion: 'TLSv1.3',
    requestCert: true,
    rejectUnauthorized: true,
  } as const;
  // The two differ in the type of the server alone, and a TLS server has all that is used of the other.
  const app = (tls === undefined
    ? Fastify({ ...common, http: TIMEOUTS })
    : Fastify({ ...common, https: mutual })) as unknown as SignerApp;
  app.server.maxConnections = MAX_CONNECTIONS;
  installStrictJson(app);
  app.setErrorHandler((error, request, reply) => answerProblem(error, request.log, reply));
  app.setNotFoundHandler((request, reply) =>
    answerProblem(
      new RefusedError('not-found', `nothing answers ${request.method} here`),
      request.log,
      reply,
    ),
  );
  return app;
}

function installStrictJson(app: SignerApp): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => {
      try {
        return parseStrictJson(body, { maxBytes: MAX_BODY_BYTES });
      } catch (cause) {
        return refuse('request-invalid', `the body is not JSON as we read it: ${messageOf(cause)}`, cause);
      }
    },
  );
}

const FASTIFY_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'content-type-unsupported',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request-invalid',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'request-invalid',
  FST_ERR_VALIDATION: 'request-invalid',
  FST_ERR_BAD_URL: 'request-invalid',
};

/** RFC 9457. Nothing of an unforeseen failure leaves the service: its log has it. */
function answerProblem(error: unknown, log: FastifyBaseLogger, reply: FastifyReply): void {
  const code = codeOf(error);
  const { status, title } = PROBLEMS[code];
  if (status >= 500) log.error({ code, err: error }, 'failed');
  else log.warn({ code, detail: messageOf(error) }, 'refused');
  const detail =
    code === 'internal' ? 'the request failed inside the service; its log says why' : messageOf(error);
  const document = { type: 'about:blank', title, status, code, detail };
  reply.code(status).headers({ 'content-type': 'application/problem+json', 'cache-control': 'no-store' });
  void reply.send(Buffer.from(JSON.stringify(document)));
}

function codeOf(error: unknown): ProblemCode {
  if (error instanceof CodedError && isProblemCode(error.code)) return error.code;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return FASTIFY_CODES[code] ?? 'internal';
}
