import { verifySignature } from '../../signing/public-key.ts';
import { type ApprovalSubject, approvalDigest } from '../approvals.ts';
import type { Approver, RoleConfig } from '../config.ts';
import type { Approval, SigningRequest } from './ledger.ts';

export function approverOf(approvers: readonly Approver[], keyId: string): Approver | undefined {
  return approvers.find(({ keys }) => keys.has(keyId));
}

export function isSignedBy({ keys }: Approver, { keyId, signature }: Approval, digest: Uint8Array): boolean {
  const key = keys.get(keyId);
  return key !== undefined && verifySignature(key, digest, signature);
}

/**
 * Who approved this very request and may: people, not keys. Every signature is verified again, by the
 * configuration of now, so that neither an edited log nor a request of another content counts.
 */
export function peopleBehind(
  request: SigningRequest,
  policy: RoleConfig,
  approvers: readonly Approver[],
): readonly string[] {
  const digest = approvalDigest(request.subject);
  const people = request.approvals.flatMap((approval) => {
    const approver = approverOf(approvers, approval.keyId);
    const counts =
      approver !== undefined &&
      policy.people.includes(approver.person) &&
      isSignedBy(approver, approval, digest);
    return counts ? [approver.person] : [];
  });
  return [...new Set(people)].sort();
}

export function isExpired({ expiresMs }: ApprovalSubject, nowMs: number): boolean {
  return nowMs >= expiresMs;
}
