import { CodedError, messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import type { ArtifactReference } from '../../signing/artifact.ts';
import {
  callOperators,
  describeRefusal,
  isSuccess,
  type OperatorsAnswer,
  type OperatorsCall,
  OperatorsSocketError,
} from '../operators-socket.ts';

export class DoorError extends CodedError<'door-unreachable' | 'door-refused'> {}

/** What publishing needs of the boot server's operators' door. */
export interface OperatorDoor {
  hasArtifact(sha256: string): Promise<boolean>;
  putArtifact(reference: ArtifactReference, contents: AsyncIterable<Uint8Array>): Promise<void>;
  /** As `GET /admin/v1/nodes` answers. */
  listNodes(): Promise<readonly JsonObject[]>;
  /** Puts a whole repository in force; answers the versions that are now served. */
  postMetadata(files: ReadonlyMap<string, Uint8Array>): Promise<JsonObject>;
}

const MAX_ANSWER_BYTES = 1024 * 1024;

export function createOperatorDoor(socketPath: string): OperatorDoor {
  const callDoor = (request: DoorCall) => call(socketPath, request);
  return {
    async hasArtifact(sha256) {
      const answer = await callDoor({ method: 'HEAD', path: `/admin/v1/artifacts/${sha256}` });
      if (answer.status === 404) return false;
      requireSuccess(answer);
      return true;
    },

    async listNodes() {
      const answer = await callDoor({ method: 'GET', path: '/admin/v1/nodes' });
      requireSuccess(answer);
      const { nodes } = parseObject(answer.body);
      return Array.isArray(nodes) ? nodes.filter(isJsonObject) : [];
    },

    async putArtifact({ sha256, length }, contents) {
      const headers = { 'content-type': 'application/octet-stream', 'content-length': length };
      const path = `/admin/v1/artifacts/${sha256}`;
      requireSuccess(await callDoor({ method: 'PUT', path, headers, body: contents }));
    },

    async postMetadata(files) {
      const texts = [...files].map(([name, bytes]) => [name, Buffer.from(bytes).toString('latin1')] as const);
      const body = JSON.stringify({ files: Object.fromEntries(texts) });
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const answer = await callDoor({ method: 'POST', path: '/admin/v1/metadata', headers, body });
      requireSuccess(answer);
      return parseObject(answer.body);
    },
  };
}

type DoorCall = Omit<OperatorsCall, 'socketPath' | 'maxAnswerBytes'>;

async function call(socketPath: string, request: DoorCall): Promise<OperatorsAnswer> {
  try {
    return await callOperators({ ...request, socketPath, maxAnswerBytes: MAX_ANSWER_BYTES });
  } catch (cause) {
    if (!(cause instanceof OperatorsSocketError)) throw cause;
    const message = `no boot server answers at ${socketPath}: ${messageOf(cause)}`;
    throw new DoorError('door-unreachable', message, { cause });
  }
}

function requireSuccess(answer: OperatorsAnswer): void {
  if (isSuccess(answer)) return;
  throw new DoorError('door-refused', withoutControls(`the boot server refused, ${describeRefusal(answer)}`));
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
function withoutControls(text: string): string {
  return text.replace(/[\x00-\x1f\x7f-\x9f]/g, '?').slice(0, 2000);
}
