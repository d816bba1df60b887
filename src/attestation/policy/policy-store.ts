import type { Baseline, FirmwareApproval } from './baseline.ts';

export interface StoredPolicy {
  name: string;
  /** Rises with each change; a version that was applied never changes. */
  version: number;
  /** The channels it is for; a channel has one policy at most. */
  channels: readonly string[];
  /** The text as the operator wrote it. */
  document: string;
  appliedAtSeconds: number;
}

/** Policies, baselines and firmware approvals. Every write is one durable transaction with its audit event. */
export interface PolicyStore {
  /** The one in force for this channel, if a document names it. */
  findPolicyOfChannel(channel: string): Promise<StoredPolicy | undefined>;
  /** The version in force of each policy. */
  listPolicies(): Promise<StoredPolicy[]>;
  /** Every version there ever was, the newest first. */
  listPolicyVersions(name: string): Promise<(StoredPolicy & { inForce: boolean })[]>;
  /**
   * `unchanged`: exactly this is in force. `version-not-higher`: its version was used before.
   * `channel-taken`: another policy in force is for one of its channels.
   */
  applyPolicy(
    policy: StoredPolicy,
  ): Promise<'applied' | 'unchanged' | 'version-not-higher' | 'channel-taken'>;
  /** Its channels fall back to the built-in policy; its versions stay known. */
  withdrawPolicy(policy: {
    name: string;
    atSeconds: number;
    reason?: string;
  }): Promise<'withdrawn' | 'unknown'>;

  findBaseline(nodeId: string): Promise<Baseline | undefined>;
  /** The next boot of this node is taken as its first, by the rule of its policy. */
  forgetBaseline(of: { nodeId: string; atSeconds: number; reason?: string }): Promise<void>;

  listFirmwareApprovals(): Promise<FirmwareApproval[]>;
  approveFirmware(approval: Omit<FirmwareApproval, 'id'>): Promise<FirmwareApproval>;
  withdrawFirmwareApproval(of: {
    id: number;
    atSeconds: number;
    reason?: string;
  }): Promise<'withdrawn' | 'unknown'>;
}
