import type { ReadStream } from 'node:fs';
import { type IncomingMessage, request } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { CodedError, messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import type { ArtifactReference } from '../../signing/artifact.ts';

export class DoorError extends CodedError<'door-unreachable' | 'door-refused'> {}

/** The boot server's operators' door, HTTP over a Unix socket: see docs/protocol.md, "Doors". */
export interface OperatorDoor {
  hasArtifact(sha256: string): Promise<boolean>;
  putArtifact(reference: ArtifactReference, contents: ReadStream): Promise<void>;
  /** Puts a whole repository in force; answers the versions that are now served. */
  postMetadata(files: ReadonlyMap<string, Uint8Array>): Promise<JsonObject>;
}

const MAX_ANSWER_BYTES = 1024 * 1024;
const TIMEOUT_MS = 120_000;

export function createOperatorDoor(socketPath: string): OperatorDoor {
  return {
    async hasArtifact(sha256) {
      const answer = await call({ socketPath, method: 'HEAD', path: `/admin/v1/artifacts/${sha256}` });
      if (answer.status === 404) return false;
      requireSuccess(answer);
      return true;
    },

    async putArtifact({ sha256, length }, contents) {
      const headers = { 'content-type': 'application/octet-stream', 'content-length': length };
      const path = `/admin/v1/artifacts/${sha256}`;
      requireSuccess(await call({ socketPath, method: 'PUT', path, headers, body: contents }));
    },

    async postMetadata(files) {
      const texts = [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('latin1')] as const);
      const body = JSON.stringify({ files: Object.fromEntries(texts) });
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const answer = await call({ socketPath, method: 'POST', path: '/admin/v1/metadata', headers, body });
      requireSuccess(answer);
      return parseObject(answer.body);
    },
  };
}

interface Call {
  readonly socketPath: string;
  readonly method: 'HEAD' | 'PUT' | 'POST';
  readonly path: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: ReadStream | string;
}

interface Answer {
  readonly status: number;
  readonly body: Uint8Array;
}

async function call({ socketPath, method, path, headers, body }: Call): Promise<Answer> {
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
    return { status: response.statusCode ?? 0, body: await readAnswer(response) };
  } catch (cause) {
    throw new DoorError('door-unreachable', `no boot server answers at ${socketPath}: ${messageOf(cause)}`, {
      cause,
    });
  }
}

async function readAnswer(response: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** A refusal is a problem document (RFC 9457) with a code; without one, the status must do. */
function requireSuccess({ status, body }: Answer): void {
  if (status >= 200 && status < 300) return;
  const problem = parseObject(body);
  const code = typeof problem.code === 'string' ? problem.code : `HTTP status ${status}`;
  const detail = typeof problem.detail === 'string' ? `: ${problem.detail}` : '';
  throw new DoorError('door-refused', printable(`the boot server refused, ${code}${detail}`));
}

function parseObject(body: Uint8Array): JsonObject {
  try {
    const value = parseStrictJson(body, { maxBytes: MAX_ANSWER_BYTES });
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
}

/** What another program says does not drive the terminal. */
function printable(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?').slice(0, 2000);
}
