import { type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream/promises';

/** A Unix socket, or TCP with certificates on both sides. */
export type HttpAddress =
  | { readonly socketPath: string }
  | {
      readonly host: string;
      readonly port: number;
      readonly tls: {
        readonly ca: string | Buffer;
        readonly cert: string | Buffer;
        readonly key: string | Buffer;
      };
    };

export interface HttpCall {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: AsyncIterable<Uint8Array> | string;
  readonly maxAnswerBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
}

const TIMEOUT_MS = 120_000;

/**
 * One request and its answer, of any status. An answer that is too long is given up while it arrives.
 *
 * @param unanswered the caller's error for when there is no whole answer
 */
export async function exchange(
  address: HttpAddress,
  call: HttpCall,
  unanswered: (cause: unknown) => Error,
): Promise<HttpAnswer> {
  const { body } = call;
  const outgoing = requestTo(address, call);
  outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')));
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject);
  });
  // The server may refuse before it has read all: then its answer counts, not the broken pipe.
  const sent = typeof body === 'object' ? pipeline(body, outgoing) : Promise.resolve(outgoing.end(body));
  sent.catch(() => undefined);
  try {
    const response = await answered;
    return { status: response.statusCode ?? 0, body: await readBody(response, call.maxAnswerBytes) };
  } catch (cause) {
    throw unanswered(cause);
  }
}

function requestTo(address: HttpAddress, { method, path, headers }: HttpCall): ClientRequest {
  const options = { method, path, headers: headers ?? {}, timeout: TIMEOUT_MS };
  if ('socketPath' in address) return httpRequest({ ...options, socketPath: address.socketPath });
  const { host, port, tls } = address;
  return httpsRequest({ ...options, host, port, minVersion: 'TLSv1.3', ...tls });
}

async function readBody(response: IncomingMessage, maxBytes: number): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > maxBytes) throw new Error(`the answer is longer than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}
