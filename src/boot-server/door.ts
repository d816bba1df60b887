import { randomBytes } from 'node:crypto';
import type http from 'node:http';
import type http2 from 'node:http2';
import type https from 'node:https';
import type { Socket } from 'node:net';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { type FastifyBaseLogger, type FastifyInstance, type FastifyRequest, LogController } from 'fastify';
import { messageOf } from '../core/errors.ts';
import { parseStrictJson } from '../core/strict-json.ts';
import { installDrain } from './door-drain.ts';
import type { Logger } from './logger.ts';
import {
  type AnsweredRequest,
  type AnsweringReply,
  answerBrokenRequest,
  answerProblem,
  installProblemAnswers,
  PROBLEM_TYPE,
  pathOf,
} from './problem-answers.ts';
import { Problem } from './problems.ts';

export type FirmwareApp = FastifyInstance<
  https.Server,
  http.IncomingMessage,
  http.ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
export type AgentsApp = FastifyInstance<
  http2.Http2SecureServer,
  http2.Http2ServerRequest,
  http2.Http2ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;
export type OperatorsApp = FastifyInstance<
  http.Server,
  http.IncomingMessage,
  http.ServerResponse,
  FastifyBaseLogger,
  TypeBoxTypeProvider
>;

/** What never became a request; the rest is counted with the requests. */
export interface DoorCounters {
  tlsClientErrors: number;
  brokenRequests: number;
}

export interface Door<App> {
  /** Routes are registered here before `listen`. */
  readonly app: App;
  readonly counters: Readonly<DoorCounters>;
  /** The port, or 0 for a Unix socket. @throws {DoorError} */
  listen(): Promise<number>;
  /** No new connections; answers under way finish or are cut at the deadline. */
  drain(deadlineSeconds: number): Promise<void>;
}

export interface DoorOptions {
  logger: Logger;
  maxConnections: number;
  /** For routes that set no `bodyLimit` of their own. */
  maxBodyBytes: number;
}

export const IDLE_MS = 60_000;

/** Slow clients hold a connection for a bounded time: handshake, headers, whole request, silence. */
export const TCP_TIMEOUTS = {
  handshakeTimeout: 10_000,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  connectionsCheckingInterval: 5_000,
  maxHeaderSize: 16_384,
};

/** One line per answer, written by `finishDoor`; fastify's own lines would add two more. */
class QuietLogController extends LogController {
  override incomingRequest(): void {}
  override requestCompleted(): void {}
  /** An answer that had begun: a client that left has its line already, our own failures have not. */
  override streamError(error: Error & { code?: string }, request: FastifyRequest): void {
    if (error.code === 'ERR_STREAM_PREMATURE_CLOSE') return;
    const fields = {
      code: error.code,
      method: request.method,
      path: pathOf(request.url),
      detail: error.message,
    };
    request.log.error(fields, 'aborted');
  }
}

/** What all three doors share: limits, logging, strict validation and answers in one form. */
export function doorBase({ logger, maxBodyBytes }: DoorOptions) {
  const counters: DoorCounters = { tlsClientErrors: 0, brokenRequests: 0 };
  const common = {
    loggerInstance: logger as FastifyBaseLogger,
    logController: new QuietLogController(),
    genReqId: () => randomBytes(8).toString('hex'),
    bodyLimit: maxBodyBytes,
    connectionTimeout: IDLE_MS,
    keepAliveTimeout: 15_000,
    requestTimeout: TCP_TIMEOUTS.requestTimeout,
    return503OnClosing: false,
    // fastify's own HEAD would answer length 0 where we know the true one without reading.
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: false, ignoreDuplicateSlashes: false, maxParamLength: 128 },
    ajv: {
      customOptions: { removeAdditional: false, coerceTypes: false, useDefaults: false, allErrors: false },
    },
    // Fastify types what a reply may send by the route's schemas; before routing there is none.
    frameworkErrors: (error: Error, request: AnsweredRequest, reply: unknown) =>
      answerProblem(error, request, reply as AnsweringReply),
    clientErrorHandler(error: Error & { code?: string }, socket: Socket) {
      const code = answerBrokenRequest(error, socket);
      if (code === undefined) return;
      counters.brokenRequests += 1;
      logger.warn({ code, parser: error.code }, 'refused before it was a request');
    },
  } as const;
  return { counters, common };
}

export interface FinishedDoor<App extends AnyApp> {
  app: App;
  options: DoorOptions;
  counters: DoorCounters;
  listen: () => Promise<number>;
}

export type AnyApp = FirmwareApp | AgentsApp | OperatorsApp;

export function finishDoor<App extends AnyApp>({
  app,
  options,
  counters,
  listen,
}: FinishedDoor<App>): Door<App> {
  app.server.maxConnections = options.maxConnections;
  const host = app as unknown as FirmwareApp;
  installProblemAnswers(host);
  installStrictJson(host);
  installAnswerLines(host);
  return { app, counters, listen, drain: installDrain(host) };
}

/** The only body that a door reads unless a route brings its own parser; no sniffing, no defaults. */
function installStrictJson(app: FirmwareApp): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: unknown, body: Buffer) => {
      try {
        return parseStrictJson(body, { maxBytes: body.length });
      } catch (cause) {
        throw new Problem('request-invalid', `the body is not JSON as we read it: ${messageOf(cause)}`, {
          cause,
        });
      }
    },
  );
}

/** A refusal has its own line already: see problem-answers.ts. */
function installAnswerLines(app: FirmwareApp): void {
  app.addHook('onResponse', async (request, reply) => {
    if (reply.getHeader('content-type') === PROBLEM_TYPE) return;
    const { method, url } = request;
    const fields = { method, path: pathOf(url), status: reply.statusCode, ms: Math.round(reply.elapsedTime) };
    request.log.info(fields, reply.raw.writableFinished ? 'answered' : 'broken off');
  });
}
