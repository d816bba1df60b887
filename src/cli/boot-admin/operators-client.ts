import http from 'node:http';
import { text } from 'node:stream/consumers';
import { messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonValue, parseStrictJson } from '../../core/strict-json.ts';
import { CliError } from './cli-error.ts';

const MAX_ANSWER_BYTES = 64 * 1024 * 1024;
const DEFAULT_SOCKET = 'bootward-data/operators.sock';

export interface Connection {
  socket?: string;
}

/** One call on the operators' door. @throws {CliError} with the server's own words */
export async function call(
  connection: Connection,
  request: { method: 'GET' | 'POST'; path: string; body?: JsonValue },
): Promise<JsonValue> {
  return parseStrictJson(await callText(connection, request), { maxBytes: MAX_ANSWER_BYTES });
}

export async function callText(
  { socket = DEFAULT_SOCKET }: Connection,
  { method, path, body }: { method: 'GET' | 'POST'; path: string; body?: JsonValue },
): Promise<string> {
  const payload = body === undefined ? undefined : JSON.stringify(body);
  const response = await send(socket, { method, path, payload });
  const answer = await text(response);
  if (response.statusCode !== undefined && response.statusCode < 300) return answer;
  throw new CliError(problemText(answer) ?? `the server answered ${response.statusCode}`);
}

function send(
  socketPath: string,
  { method, path, payload }: { method: string; path: string; payload: string | undefined },
): Promise<http.IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<http.IncomingMessage>();
  const headers =
    payload === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(payload) };
  const request = http.request({ socketPath, method, path, headers }, resolve);
  request.on('error', (cause) => {
    const advice = 'is the server running, and is --socket (or BOOTWARD_ADMIN_SOCKET) its socket?';
    reject(new CliError(`no answer on ${socketPath} (${messageOf(cause)}): ${advice}`, { cause }));
  });
  request.end(payload);
  return promise;
}

function problemText(answer: string): string | undefined {
  try {
    const problem = parseStrictJson(answer, { maxBytes: MAX_ANSWER_BYTES });
    return isJsonObject(problem) ? `${String(problem.code)}: ${String(problem.detail)}` : undefined;
  } catch {
    return undefined;
  }
}
