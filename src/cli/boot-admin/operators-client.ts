import { messageOf } from '../../core/errors.ts';
import { type JsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import {
  callOperators,
  describeRefusal,
  isSuccess,
  OperatorsSocketError,
  problemOf,
} from '../operators-socket.ts';
import { CliError } from './cli-error.ts';

export interface Connection {
  socket?: string;
}

export interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  body?: JsonValue;
}

/** What the server refused, with all that it said of it. */
export class RefusedError extends CliError {
  readonly problem: JsonObject;

  constructor(message: string, problem: JsonObject) {
    super(message);
    this.problem = problem;
  }
}

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const DEFAULT_SOCKET = 'bootward-data/operators.sock';

/** One call on the operators' door. @throws {CliError} with the server's own words */
export async function call(connection: Connection, request: Call): Promise<JsonValue> {
  return parseStrictJson(await callText(connection, request), { maxBytes: MAX_ANSWER_BYTES });
}

/** The same, as the server wrote it. */
export async function callText(connection: Connection, { method, path, body }: Call): Promise<string> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const answer = await send(connection.socket ?? DEFAULT_SOCKET, { method, path, payload });
  if (!isSuccess(answer)) throw new RefusedError(describeRefusal(answer), problemOf(answer));
  return Buffer.from(answer.body).toString('utf8');
}

async function send(
  socketPath: string,
  { method, path, payload }: { method: Call['method']; path: string; payload: string | undefined },
) {
  const body = payload !== undefined && {
    headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) },
    body: payload,
  };
  try {
    return await callOperators({
      socketPath,
      method,
      path,
      ...body,
      maxAnswerBytes: MAX_ANSWER_BYTES,
    });
  } catch (cause) {
    if (!(cause instanceof OperatorsSocketError)) throw cause;
    const advice = 'is the server running, and is --socket (or BOOTWARD_ADMIN_SOCKET) its socket?';
    throw new CliError(`no answer on ${socketPath} (${messageOf(cause)}): ${advice}`, { cause });
  }
}
