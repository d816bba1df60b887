import { canonicalize } from '@tufjs/canonical-json';
import { asciiBytes, concatBytes, sha256 } from '../core/bytes.ts';

/** What approvers sign: this request, with this content, for this long. */
export interface ApprovalSubject {
  readonly id: string;
  readonly type: string;
  readonly role: string;
  readonly version: number;
  /** Of the text to be signed. */
  readonly sha256: string;
  /** After this no approval counts: milliseconds since 1970. */
  readonly expiresMs: number;
}

const FORMAT = 'bootward-signing-request-v1';

/** SHA-256("bootward approval v1\0" ‖ canonical request): these 32 bytes are what an approver's key signs. */
export function approvalDigest(subject: ApprovalSubject): Uint8Array {
  return digestOf('bootward approval v1\0', subject);
}

/** The same for taking a request back, so that neither stands for the other. */
export function withdrawalDigest(subject: ApprovalSubject): Uint8Array {
  return digestOf('bootward withdrawal v1\0', subject);
}

function digestOf(
  domain: string,
  { id, type, role, version, sha256: hash, expiresMs }: ApprovalSubject,
): Uint8Array {
  const canonical = canonicalize({ format: FORMAT, id, type, role, version, sha256: hash, expiresMs });
  return sha256(concatBytes(asciiBytes(domain), asciiBytes(canonical)));
}
