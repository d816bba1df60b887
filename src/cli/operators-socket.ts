import { CodedError, messageOf } from '../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../core/strict-json.ts';
import { exchange, type HttpAnswer, type HttpCall } from './http-exchange.ts';

export class OperatorsSocketError extends CodedError<'door-unreachable'> {}

export interface OperatorsCall extends HttpCall {
  readonly socketPath: string;
}

export type OperatorsAnswer = HttpAnswer;

const MAX_PROBLEM_BYTES = 1024 * 1024;

/**
 * One call on the boot server's operators' door: HTTP over a Unix socket (docs/protocol.md, "Doors"). Any
 * status is an answer. An answer that is too long is given up while it arrives.
 *
 * @throws {OperatorsSocketError} when there is no whole answer
 */
export function callOperators({ socketPath, ...call }: OperatorsCall): Promise<OperatorsAnswer> {
  return exchange(
    { socketPath },
    call,
    (cause) => new OperatorsSocketError('door-unreachable', messageOf(cause), { cause }),
  );
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

/** The members of a refusal's document; none when it is something else. */
export function problemOf({ body }: OperatorsAnswer): JsonObject {
  try {
    const problem = parseStrictJson(body, { maxBytes: MAX_PROBLEM_BYTES });
    return isJsonObject(problem) ? problem : {};
  } catch {
    return {};
  }
}
