import { CodedError } from '../core/errors.ts';

interface ProblemKind {
  status: number;
  title: string;
}

/**
 * Every way in which a request can fail, on every door: the closed list of docs/protocol.md. A coded
 * error whose code stands here is answered with it, wherever it was thrown; any other is `internal`.
 * Codes are never renamed once released.
 */
export const PROBLEMS = {
  'request-invalid': { status: 400, title: 'The request is not what this call expects' },
  'client-certificate-missing': { status: 401, title: 'This call needs the ephemeral client certificate' },
  'upload-interrupted': { status: 400, title: 'The upload broke off' },
  'grant-missing': { status: 401, title: 'This call needs a grant' },
  'grant-invalid': { status: 401, title: 'The grant is not one of ours' },
  'grant-expired': { status: 401, title: 'The grant has expired' },
  'node-pending': { status: 403, title: 'The node waits for approval' },
  'node-rejected': { status: 403, title: 'The node was rejected' },
  'node-revoked': { status: 403, title: 'The node was revoked' },
  'evidence-refused': { status: 403, title: 'The evidence was refused' },
  'evidence-held': { status: 403, title: 'The evidence is held for an operator' },
  'enrolment-refused': { status: 403, title: 'The enrolment was refused' },
  'enrolment-held': { status: 403, title: 'The enrolment is held for an operator' },
  'token-refused': { status: 403, title: 'The enrolment token was refused' },
  'activation-refused': { status: 403, title: 'The TPM did not open the credential' },
  'grant-key-mismatch': { status: 403, title: 'The grant belongs to another key' },
  'grant-closed': { status: 403, title: 'The grant was closed' },
  'artifact-not-granted': { status: 403, title: 'The grant does not cover this artifact' },
  'not-found': { status: 404, title: 'There is nothing at this address' },
  'ak-unknown': { status: 404, title: 'The attestation key is not enrolled' },
  'node-unknown': { status: 404, title: 'There is no such node' },
  'enrolment-unknown': { status: 404, title: 'There is no such enrolment' },
  'artifact-unknown': { status: 404, title: 'There is no such artifact' },
  'token-unknown': { status: 404, title: 'There is no such enrolment token' },
  'trust-anchor-unknown': { status: 404, title: 'There is no such trust anchor' },
  'channel-unknown': { status: 404, title: 'There is no such channel' },
  'rollout-missing': { status: 404, title: 'The channel has no rollout' },
  'metadata-unknown': { status: 404, title: 'There is no such metadata file' },
  'method-not-allowed': { status: 405, title: 'This address does not take this method' },
  'ak-rotated': { status: 409, title: 'The attestation key was replaced' },
  'session-missing': { status: 409, title: 'The node runs nothing that it was granted' },
  'policy-conflict': { status: 409, title: 'The policy does not fit those in force' },
  'approval-refused': { status: 409, title: 'There is no firmware to approve' },
  'release-not-listed': { status: 409, title: 'The channel does not list this release' },
  'slot-empty': { status: 409, title: 'The slot holds nothing that could be booted' },
  'slot-active': { status: 409, title: 'The release is active already' },
  'rollout-open': { status: 409, title: 'A rollout is under way' },
  'rollout-wrong-state': { status: 409, title: 'The rollout is not in a state that allows this' },
  'no-release': { status: 409, title: 'The channel lists no release' },
  'node-state-conflict': { status: 409, title: 'The node is not in a state that allows this' },
  'trust-anchor-configured': { status: 409, title: 'The trust anchor is not one that operators added' },
  'trust-anchor-in-use': { status: 409, title: 'Something depends on this trust anchor' },
  'enrolment-ended': { status: 410, title: 'The enrolment has ended' },
  'precondition-failed': { status: 412, title: 'The artifact is not the one that was asked for' },
  'body-too-large': { status: 413, title: 'The body is too large' },
  'content-type-unsupported': { status: 415, title: 'This call does not take this content type' },
  'range-not-satisfiable': { status: 416, title: 'The range lies outside the artifact' },
  'artifact-length-mismatch': { status: 422, title: 'The artifact does not have the length announced' },
  'artifact-hash-mismatch': { status: 422, title: 'The artifact does not have the hash that names it' },
  'trust-anchors-invalid': { status: 422, title: 'The bundle holds something else than trust anchors' },
  'trust-anchors-refused': { status: 422, title: 'The bundle holds roots that must be accepted by name' },
  'plan-invalid': { status: 422, title: 'The rollout plan cannot be carried out' },
  'policy-refused': { status: 422, title: 'The policy was refused' },
  'metadata-refused': { status: 422, title: 'The release metadata was refused' },
  'too-many-requests': { status: 429, title: 'Too many requests' },
  'headers-too-large': { status: 431, title: 'The headers are too large' },
  internal: { status: 500, title: 'The server failed' },
  'artifact-damaged': { status: 500, title: 'The stored artifact is damaged' },
  'database-older-than-served': { status: 503, title: 'The database of this server was set back' },
  'not-ready': { status: 503, title: 'The server is not ready' },
  'storage-full': { status: 507, title: 'The server has no room left' },
} as const satisfies Readonly<Record<string, ProblemKind>>;

export type ProblemCode = keyof typeof PROBLEMS;

export interface ProblemOptions {
  /** Further members of the document, such as `reasons`. */
  members?: Readonly<Record<string, unknown>>;
  /** Headers that belong to the answer, such as `retry-after`. */
  headers?: Readonly<Record<string, string>>;
  cause?: unknown;
}

/** A refusal that is meant for the client: `detail` is sent, so it says what to do and holds no secret. */
export class Problem extends CodedError<ProblemCode> {
  readonly members: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(code, detail, { cause: options.cause });
    this.members = options.members ?? {};
    this.headers = options.headers ?? {};
  }
}

export interface ProblemDocument {
  type: 'about:blank';
  title: string;
  status: number;
  code: ProblemCode;
  detail: string;
  [member: string]: unknown;
}

export function isProblemCode(code: unknown): code is ProblemCode {
  return typeof code === 'string' && Object.hasOwn(PROBLEMS, code);
}

export function statusOf(problem: Problem): number {
  return PROBLEMS[problem.code].status;
}

/** RFC 9457 section 3; `code` is our extension member, the one that programs read. */
export function problemDocument(problem: Problem): ProblemDocument {
  const { status, title } = PROBLEMS[problem.code];
  return {
    ...problem.members,
    type: 'about:blank',
    title,
    status,
    code: problem.code,
    detail: problem.message,
  };
}
