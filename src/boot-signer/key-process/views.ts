import { toHex } from '../../core/bytes.ts';
import { type ApprovalSubject, approvalDigest, withdrawalDigest } from '../approvals.ts';
import type { SigningRequest } from './ledger.ts';
import { isExpired } from './people.ts';

/** A request as it is shown. */
export interface RequestView extends ApprovalSubject {
  readonly openedMs: number;
  readonly client: string;
  readonly state: 'open' | 'approved' | 'signed' | 'withdrawn' | 'expired';
  readonly people: readonly string[];
  /** Approvals by further people that are still wanted. */
  readonly missing: number;
  readonly approvalDigest: string;
  readonly withdrawalDigest: string;
}

export function viewOf(
  { subject, client, openedMs, state }: SigningRequest,
  { people, wanted, nowMs }: { people: readonly string[]; wanted: number; nowMs: number },
): RequestView {
  const missing = Math.max(0, wanted - people.length);
  const open = isExpired(subject, nowMs) ? 'expired' : missing === 0 ? 'approved' : 'open';
  return {
    ...subject,
    openedMs,
    client,
    state: state === 'open' ? open : state,
    people,
    missing,
    approvalDigest: toHex(approvalDigest(subject)),
    withdrawalDigest: toHex(withdrawalDigest(subject)),
  };
}
