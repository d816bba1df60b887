import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyError } from 'fastify';
import { CodedError } from '../core/errors.ts';
import { isProblemCode, Problem, type ProblemCode, problemDocument, statusOf } from './problems.ts';

export const PROBLEM_TYPE = 'application/problem+json';

/** What answering needs of a request, on any door and any HTTP version. */
export interface AnsweredRequest {
  method: string;
  url: string;
  log: { warn(fields: object, message: string): void; error(fields: object, message: string): void };
}

export interface AnsweringReply {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(payload: Buffer): unknown;
}

/** The part of a fastify instance that these handlers take over. */
interface ProblemHost {
  setErrorHandler(
    handler: (error: unknown, request: AnsweredRequest, reply: AnsweringReply) => void,
  ): unknown;
  setNotFoundHandler(handler: (request: AnsweredRequest, reply: AnsweringReply) => void): unknown;
}

export function installProblemAnswers(app: ProblemHost): void {
  app.setErrorHandler(answerProblem);
  app.setNotFoundHandler((request, reply) => {
    const detail = `nothing answers ${request.method} ${pathOf(request.url)} on this door`;
    answerProblem(new Problem('not-found', detail), request, reply);
  });
}

/** The one place where a failure becomes an answer, and the one line that logs it. */
export function answerProblem(error: unknown, request: AnsweredRequest, reply: AnsweringReply): void {
  const problem = asProblem(error);
  logRefusal(problem, request);
  reply.code(statusOf(problem));
  reply.headers({ 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store', ...problem.headers });
  // As bytes: to a string fastify would add a charset, which the media type does not have.
  reply.send(Buffer.from(JSON.stringify(problemDocument(problem))));
}

/** Fastify's own refusals, by its codes. */
const FASTIFY_CODES: Readonly<Record<string, ProblemCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body-too-large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'content-type-unsupported',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request-invalid',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'request-invalid',
  FST_ERR_CTP_INVALID_JSON_BODY: 'request-invalid',
  FST_ERR_BAD_URL: 'request-invalid',
  FST_ERR_MAX_PARAM_LENGTH: 'request-invalid',
};

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof CodedError) return ofCodedError(error);
  if (!(error instanceof Error)) return internal(error);
  const { validation, validationContext, code } = error as Partial<FastifyError>;
  if (validation !== undefined) return invalidField(validation[0], validationContext ?? 'request', error);
  const known = FASTIFY_CODES[code ?? ''];
  return known === undefined ? internal(error) : new Problem(known, error.message, { cause: error });
}

function ofCodedError(error: CodedError): Problem {
  return isProblemCode(error.code)
    ? new Problem(error.code, error.message, { cause: error })
    : internal(error);
}

/** Nothing of an unforeseen failure leaves the server: the log has it under the request's id. */
function internal(cause: unknown): Problem {
  return new Problem('internal', 'the request failed inside the server; its log says why', { cause });
}

/** The name of an unknown field is the client's: it is not sent back and logged by the megabyte. */
const MAX_FIELD_LENGTH = 120;

interface SchemaViolation {
  instancePath: string;
  keyword?: string;
  message?: string | undefined;
  params?: Record<string, unknown>;
}

function invalidField(violation: SchemaViolation | undefined, where: string, cause: Error): Problem {
  const name = violation?.params?.additionalProperty ?? violation?.params?.missingProperty;
  const parent = violation?.instancePath.slice(1).replaceAll('/', '.') ?? '';
  const path = [where, parent, name].filter((part) => typeof part === 'string' && part !== '').join('.');
  const field = path.slice(0, MAX_FIELD_LENGTH);
  const detail = `${field}: ${violation?.message ?? 'is not valid'}`;
  return new Problem('request-invalid', detail, { members: { field }, cause });
}

function logRefusal(problem: Problem, request: AnsweredRequest): void {
  const fields = {
    code: problem.code,
    method: request.method,
    path: pathOf(request.url),
    detail: problem.message,
  };
  if (statusOf(problem) < 500) request.log.warn(fields, 'refused');
  else request.log.error({ ...fields, err: problem.cause ?? problem }, 'failed');
}

/** Paths are logged without their query. */
export function pathOf(url: string): string {
  return url.split('?', 1)[0] ?? url;
}

/** Node's parser refuses before there is a request: headers too large, smuggling, broken chunks. */
const PARSER_CODES: Readonly<Record<string, ProblemCode>> = {
  HPE_HEADER_OVERFLOW: 'headers-too-large',
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 'body-too-large',
};

/** Answers on the bare socket what never became a request, then closes: nothing after it can be trusted. */
export function answerBrokenRequest(
  error: Error & { code?: string },
  socket: Socket,
): ProblemCode | undefined {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return undefined;
  }
  const problem = new Problem(
    PARSER_CODES[error.code ?? ''] ?? 'request-invalid',
    'this is not HTTP as we read it',
  );
  const body = JSON.stringify(problemDocument(problem));
  const status = statusOf(problem);
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: ${PROBLEM_TYPE}\r\n`;
  socket.end(`${head}content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`);
  return problem.code;
}
