import { CodedError } from '../core/errors.ts';

interface ProblemKind {
  readonly status: number;
  readonly title: string;
}

/** Every way in which the service refuses: the closed list of docs/signing-service.md. Codes are never renamed. */
export const PROBLEMS = {
  'request-invalid': { status: 400, title: 'The request is not what this call expects' },
  'client-unknown': { status: 403, title: 'The client certificate is not one that may ask' },
  'not-found': { status: 404, title: 'There is nothing at this address' },
  'request-unknown': { status: 404, title: 'There is no such request' },
  'key-not-here': { status: 404, title: 'No key of this service may sign that' },
  'version-taken': { status: 409, title: 'Another content of this version was signed' },
  'version-not-next': { status: 409, title: 'The version is not the next one' },
  'rollback-refused': { status: 409, title: 'The metadata goes back behind what was signed' },
  'release-changed': { status: 409, title: 'A listed release is not what it was' },
  'release-withdrawn': { status: 409, title: 'A withdrawn release is listed again' },
  'request-closed': { status: 409, title: 'The request is not open any more' },
  'adoption-refused': { status: 422, title: 'The metadata are no base to go on from' },
  'approval-refused': { status: 403, title: 'The approval does not count' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'content-type-unsupported': { status: 415, title: 'This call does not take this content type' },
  'metadata-refused': { status: 422, title: 'The metadata is not what is signed here' },
  'expiry-refused': { status: 422, title: 'The metadata expires too soon or too late' },
  'artifact-refused': { status: 422, title: 'An artifact is not what the metadata says' },
  'image-refused': { status: 422, title: 'The image is not one that is signed here' },
  'rate-limited': { status: 429, title: 'The key has signed enough for now' },
  'too-many-open': { status: 429, title: 'Too many requests wait for approvals' },
  internal: { status: 500, title: 'The service failed' },
  'key-unavailable': { status: 503, title: 'A key cannot sign now' },
  'signer-stopped': { status: 503, title: 'The key process has ended' },
} as const satisfies Readonly<Record<string, ProblemKind>>;

export type ProblemCode = keyof typeof PROBLEMS;

/** A refusal that the client hears: says what to do, holds no secret. */
export class RefusedError extends CodedError<ProblemCode> {}

export function isProblemCode(code: unknown): code is ProblemCode {
  return typeof code === 'string' && Object.hasOwn(PROBLEMS, code);
}

export type SignerStateCode =
  | 'config-unreadable'
  | 'config-invalid'
  /** Nothing was signed here yet, or the folder was emptied: only a person can tell. */
  | 'state-missing'
  | 'state-exists'
  /** What is there is an older state than the one that was there last. */
  | 'state-rolled-back'
  /** Written by a newer service. */
  | 'state-newer'
  | 'state-busy'
  | 'audit-log-damaged'
  | 'baseline-refused'
  | 'secret-missing'
  | 'key-process-failed'
  | 'socket-taken';

/** Why the service does not start. */
export class SignerStateError extends CodedError<SignerStateCode> {}

export function refuse(code: ProblemCode, message: string, cause?: unknown): never {
  throw new RefusedError(code, message, { cause });
}
