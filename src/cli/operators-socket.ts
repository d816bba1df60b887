import { type IncomingMessage, request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { CodedError, messageOf } from '../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../core/strict-json.ts';

export class OperatorsSocketError extends CodedError<'door-unreachable'> {}

export interface OperatorsCall {
  readonly socketPath: string;
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: AsyncIterable<Uint8Array> | string;
  readonly maxAnswerBytes: number;
}

export interface OperatorsAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

const MAX_PROBLEM_BYTES = 1024 * 1024;
const TIMEOUT_MS = 120_000;

/**
 * One call on the boot server's operators' door: HTTP over a Unix socket (docs/protocol.md, "Doors"). Any
 * status is an answer. An answer that is too long is given up while it arrives.
 *
 * @throws {OperatorsSocketError} when there is no whole answer
 */
export async function callOperators(call: OperatorsCall): Promise<OperatorsAnswer> {
  const { socketPath, method, path, headers, body } = call;
  const outgoing = request({ socketPath, method, path, headers: headers ?? {}, timeout: TIMEOUT_MS });
  outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')));
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject);
  });
  // The server may refuse before it has read all: then its answer counts, not the broken pipe.
  const sent = typeof body === 'object' ? pipeline(body, outgoing) : Promise.resolve(outgoing.end(body));
  sent.catch(() => undefined);
  try {
    const response = await answered;
    return { status: response.statusCode ?? 0, body: await readAnswer(response, call.maxAnswerBytes) };
  } catch (cause) {
    throw new OperatorsSocketError('door-unreachable', messageOf(cause), { cause });
  }
}

export function isSuccess({ status }: OperatorsAnswer): boolean {
  return status >= 200 && status < 300;
}

/** A refusal is a problem document (RFC 9457) with a code; without one, the status must do. */
export function describeRefusal(answer: OperatorsAnswer): string {
  const { code, detail } = problemOf(answer);
  return typeof code === 'string'
    ? `${code}${typeof detail === 'string' ? `: ${detail}` : ''}`
    : `HTTP status ${answer.status}`;
}

async function readAnswer(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** The members of a refusal's document; none when it is something else. */
export function problemOf({ body }: OperatorsAnswer): JsonObject {
  try {
    const problem = parseStrictJson(body, { maxBytes: MAX_PROBLEM_BYTES });
    return isJsonObject(problem) ? problem : {};
  } catch {
    return {};
  }
}
