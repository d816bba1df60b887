import type { KeyObject, X509Certificate } from 'node:crypto';
import { Agent, type RequestOptions, request } from 'node:https';
import { buffer } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import { sha256, toHex } from '../../core/bytes.ts';

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  bytes: Buffer;
  /** The body as JSON; an empty object when it is none. */
  // biome-ignore lint/suspicious/noExplicitAny: callers reach into answers of every call
  json: any;
}

export interface HttpsCall {
  method?: string;
  headers?: Record<string, string | number>;
  /** An object travels as JSON, bytes and text as they are. */
  body?: unknown;
}

export interface ClientIdentity {
  key: KeyObject;
  certificate: string;
}

/** A client of one door: TLS 1.3, our CA and nothing else, and a certificate of its own if it has one. */
export interface HttpsClient {
  call(path: string, call?: HttpsCall): Promise<Answer>;
  /** Hex SHA-256 of the server's key, as seen on the latest connection. */
  serverKey(): Promise<string>;
  close(): void;
}

export function createHttpsClient(door: {
  host?: string;
  port: number;
  ca: string;
  identity?: ClientIdentity | undefined;
}): HttpsClient {
  const { host = '127.0.0.1', port, ca, identity } = door;
  const agent = new Agent({ keepAlive: true, maxSockets: 8 });
  const tls: RequestOptions = {
    agent,
    ca,
    host,
    minVersion: 'TLSv1.3',
    ...(identity && {
      key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
      cert: identity.certificate,
    }),
  };
  let seen: string | undefined;

  async function call(path: string, { method = 'GET', headers = {}, body }: HttpsCall = {}): Promise<Answer> {
    const payload = payloadOf(body);
    const type = typeof body === 'object' && !(body instanceof Uint8Array) ? jsonType : {};
    return new Promise((resolve, reject) => {
      const length = payload === undefined ? {} : { 'content-length': payload.length };
      const outgoing = request({ ...tls, port, path, method, headers: { ...type, ...length, ...headers } });
      outgoing.once('error', reject);
      outgoing.once('response', (response) => {
        seen = serverKeyOf(response.socket as TLSSocket) ?? seen;
        buffer(response).then(
          (bytes) => resolve(answerOf(response.statusCode ?? 0, response.headers, bytes)),
          reject,
        );
      });
      outgoing.end(payload);
    });
  }

  return {
    call,
    async serverKey() {
      if (seen === undefined) await call('/healthz');
      return seen ?? '';
    },
    close: () => agent.destroy(),
  };
}

const jsonType = { 'content-type': 'application/json' };

export function payloadOf(body: unknown): Buffer | undefined {
  if (body === undefined) return undefined;
  if (body instanceof Uint8Array) return Buffer.from(body);
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body));
}

export function answerOf(status: number, headers: Answer['headers'], bytes: Buffer): Answer {
  return { status, headers, bytes, json: jsonOf(bytes) };
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString()) as unknown;
  } catch {
    return {};
  }
}

function serverKeyOf(socket: TLSSocket): string | undefined {
  const certificate: X509Certificate | undefined = socket.getPeerX509Certificate();
  return certificate && toHex(sha256(certificate.publicKey.export({ type: 'spki', format: 'der' })));
}
