import { type ApprovalSubject, approvalDigest, withdrawalDigest } from '../../boot-signer/approvals.ts';
import { sha256, toHex } from '../../core/bytes.ts';
import { CodedError, messageOf } from '../../core/errors.ts';
import { isJsonObject, type JsonObject, parseStrictJson } from '../../core/strict-json.ts';
import type { RoleSignature, RoleSigner } from '../../signing/role-signer.ts';
import type { Signer } from '../../signing/signer.ts';
import { exchange, type HttpAddress, type HttpAnswer, type HttpCall } from '../http-exchange.ts';

/** Where a signing service answers: its Unix socket, or TCP with certificates on both sides. */
export type SigningServiceAddress = HttpAddress;

export class SigningServiceError extends CodedError<
  'signing-service-unreachable' | 'signing-service-refused' | 'signing-service-answer-invalid'
> {}

/** What was asked for waits for people; the same call with the same bytes gets the signature once they approved. */
export class ApprovalPending extends CodedError<'approval-pending'> {
  readonly requestId: string;
  readonly missing: number;

  constructor(requestId: string, missing: number) {
    super(
      'approval-pending',
      `request ${requestId} waits for ${missing} more approvals: "boot-sign requests approve" gives one, then run this again`,
    );
    this.requestId = requestId;
    this.missing = missing;
  }
}

/** A request as the service shows it (docs/signing-service.md). */
export interface ShownRequest extends ApprovalSubject {
  readonly state: string;
  readonly client: string;
  readonly people: readonly string[];
  readonly missing: number;
}

const MAX_ANSWER_BYTES = 32 * 1024 * 1024;
const PIECE_BYTES = 1024 * 1024;
const MAX_AUDIT_BYTES = 4 * 1024 * 1024 * 1024;

/** Signs with the keys that the service holds. @throws {ApprovalPending | SigningServiceError} from `sign` */
export function createSigningServiceSigner(address: SigningServiceAddress): RoleSigner {
  return {
    async sign({ role, keyIds, canonical }) {
      const signed = Buffer.from(canonical).toString('latin1');
      const answer = await call(address, 'POST', '/v1/requests', {
        type: 'metadata',
        role,
        keyIds: [...keyIds],
        signed,
      });
      // The service says so when it has none of the keys; others may.
      if (answer.status === 404 && answer.document.code === 'key-not-here') return [];
      const { state, signatures, request } = requireSuccess(answer);
      if (state === 'pending' && isJsonObject(request))
        throw new ApprovalPending(String(request.id), Number(request.missing));
      if (state !== 'signed' || !Array.isArray(signatures))
        return invalid('it neither signed nor said what is missing');
      return signatures.map(readSignature);
    },
  };
}

/** Asks that metadata in force become the base: see `adoption-document.ts`. @throws {ApprovalPending} */
export async function requestAdoption(address: SigningServiceAddress, text: Uint8Array): Promise<void> {
  const signed = Buffer.from(text).toString('latin1');
  const body = { type: 'adoption', role: 'adoption', keyIds: [], signed };
  const { state, request } = requireSuccess(await call(address, 'POST', '/v1/requests', body));
  if (state === 'pending' && isJsonObject(request))
    throw new ApprovalPending(String(request.id), Number(request.missing));
  if (state !== 'adopted') invalid('it neither adopted nor said what is missing');
}

/** @param text of `image-documents.ts` @returns hex @throws {ApprovalPending | SigningServiceError} */
export async function requestImageSignature(
  address: SigningServiceAddress,
  { type, keyId, text }: { type: string; keyId: string; text: Uint8Array },
): Promise<string> {
  const body = { type, role: type, keyIds: [keyId], signed: Buffer.from(text).toString('latin1') };
  const { state, signatures, request } = requireSuccess(await call(address, 'POST', '/v1/requests', body));
  if (state === 'pending' && isJsonObject(request))
    throw new ApprovalPending(String(request.id), Number(request.missing));
  const [first] = Array.isArray(signatures) ? signatures.map(readSignature) : [];
  return first?.signature ?? invalid('it neither signed nor said what is missing');
}

/** For a request to sign it. What is there already is not sent again. @throws {SigningServiceError} */
export async function uploadImage(address: SigningServiceAddress, image: Uint8Array): Promise<void> {
  const to = { path: `/v1/images/${toHex(sha256(image))}`, maxAnswerBytes: MAX_ANSWER_BYTES };
  if ((await reach(address, { ...to, method: 'GET' })).status === 200) return;
  const headers = { 'content-type': 'application/octet-stream', 'content-length': image.length };
  const stored = await reach(address, { ...to, method: 'PUT', headers, body: piecesOf(image) });
  requireSuccess(readAnswer(stored));
}

async function* piecesOf(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE_BYTES) yield bytes.subarray(at, at + PIECE_BYTES);
}

/** Keys, roles, what was signed last, and the head of the audit log. */
export async function getServiceKeys(address: SigningServiceAddress): Promise<JsonObject> {
  return requireSuccess(await call(address, 'GET', '/v1/keys'));
}

export async function listRequests(address: SigningServiceAddress): Promise<readonly ShownRequest[]> {
  const { requests } = requireSuccess(await call(address, 'GET', '/v1/requests'));
  return Array.isArray(requests) ? requests.map(readRequest) : invalid('it lists no requests');
}

/** A request and what is to be signed: the text is the one whose hash approvers sign. */
export async function getRequest(
  address: SigningServiceAddress,
  id: string,
): Promise<{ request: ShownRequest; signed: string }> {
  const { request, signed } = requireSuccess(
    await call(address, 'GET', `/v1/requests/${encodeURIComponent(id)}`),
  );
  const shown = readRequest(request ?? null);
  if (
    typeof signed !== 'string' ||
    shown.id !== id ||
    toHex(sha256(Buffer.from(signed, 'latin1'))) !== shown.sha256
  )
    return invalid('the text it shows is not the one of the request');
  return { request: shown, signed };
}

/**
 * The digest is computed here from the request as shown, whose text was checked: the service cannot have
 * something else approved.
 */
export async function approveRequest(
  address: SigningServiceAddress,
  shown: ShownRequest,
  approver: Signer,
): Promise<ShownRequest> {
  const signature = toHex(await approver.sign(approvalDigest(shown)));
  return answerRequest(address, `/v1/requests/${encodeURIComponent(shown.id)}/approvals`, {
    keyId: approver.keyId,
    signature,
  });
}

/** @param approver whoever asked needs none */
export async function withdrawRequest(
  address: SigningServiceAddress,
  shown: ShownRequest,
  approver?: Signer,
): Promise<ShownRequest> {
  const path = `/v1/requests/${encodeURIComponent(shown.id)}/withdraw`;
  if (approver === undefined) return answerRequest(address, path, {});
  const signature = toHex(await approver.sign(withdrawalDigest(shown)));
  return answerRequest(address, path, { keyId: approver.keyId, signature });
}

/** The audit log as it is: `verifyAuditLog` judges it. */
export async function fetchAuditLog(address: SigningServiceAddress): Promise<Uint8Array> {
  const { status, body } = await reach(address, {
    method: 'GET',
    path: '/v1/audit',
    maxAnswerBytes: MAX_AUDIT_BYTES,
  });
  if (status !== 200)
    throw new SigningServiceError('signing-service-refused', `the service answered with status ${status}`);
  return body;
}

async function answerRequest(
  address: SigningServiceAddress,
  path: string,
  body: JsonObject,
): Promise<ShownRequest> {
  const { request } = requireSuccess(await call(address, 'POST', path, body));
  return readRequest(request ?? null);
}

interface Answer {
  readonly status: number;
  readonly document: JsonObject;
}

async function call(
  address: SigningServiceAddress,
  method: 'GET' | 'POST',
  path: string,
  body?: JsonObject,
): Promise<Answer> {
  return readAnswer(
    await reach(address, {
      method,
      path,
      maxAnswerBytes: MAX_ANSWER_BYTES,
      ...(body !== undefined && jsonBody(body)),
    }),
  );
}

function readAnswer({ status, body }: HttpAnswer): Answer {
  try {
    const document = parseStrictJson(body, { maxBytes: MAX_ANSWER_BYTES });
    return { status, document: isJsonObject(document) ? document : {} };
  } catch (cause) {
    return invalid(messageOf(cause));
  }
}

function requireSuccess({ status, document }: Answer): JsonObject {
  if (status >= 200 && status < 300) return document;
  const { code, detail } = document;
  throw new SigningServiceError(
    'signing-service-refused',
    typeof code === 'string' ? `${code}: ${String(detail)}` : `the service answered with status ${status}`,
  );
}

function jsonBody(value: JsonObject): Pick<HttpCall, 'headers' | 'body'> {
  const body = JSON.stringify(value);
  const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return { headers, body };
}

function reach(address: SigningServiceAddress, call: HttpCall): Promise<HttpAnswer> {
  return exchange(
    address,
    call,
    (cause) =>
      new SigningServiceError(
        'signing-service-unreachable',
        `the signing service does not answer: ${messageOf(cause)}`,
        { cause },
      ),
  );
}

function readSignature(value: unknown): RoleSignature {
  const { keyId, signature } = isJsonObject(value as JsonObject) ? (value as JsonObject) : {};
  return typeof keyId === 'string' && typeof signature === 'string'
    ? { keyId, signature }
    : invalid('a signature is none');
}

function readRequest(value: unknown): ShownRequest {
  const {
    id,
    type,
    role,
    version,
    sha256: hash,
    expiresMs,
    state,
    client,
    people,
    missing,
  } = value as JsonObject;
  if (
    ![id, type, role, hash, state, client].every((text) => typeof text === 'string') ||
    !Array.isArray(people)
  )
    return invalid('a request is none');
  return {
    id: String(id),
    type: String(type),
    role: String(role),
    version: Number(version),
    sha256: String(hash),
    expiresMs: Number(expiresMs),
    state: String(state),
    client: String(client),
    people: people.map(String),
    missing: Number(missing),
  };
}

function invalid(message: string): never {
  throw new SigningServiceError(
    'signing-service-answer-invalid',
    `the signing service's answer is not one: ${message}`,
  );
}
