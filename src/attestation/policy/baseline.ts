/**
 * What this node's firmware left in the TPM when it was last approved: by its first boot, by an operator, or by a
 * firmware version that an operator has approved for more than one node.
 */
export interface Baseline {
  /** PCR index to hex, SHA-256 bank: every quoted PCR. */
  pcrs: Readonly<Record<number, string>>;
  /** The log that explains them, for the difference that an operator is shown. */
  eventLog?: Uint8Array;
  approvedBy: 'first-boot' | 'operator' | 'firmware-approval';
  approvedAtSeconds: number;
}

/** An operator's word that these values are good, for whoever the scope names. */
export interface FirmwareApproval {
  id: number;
  /** "Dell 1.14.2", or what the operator wrote. */
  name: string;
  scope: { kind: 'node'; nodeId: string } | { kind: 'channel'; channel: string } | { kind: 'all' };
  /** PCR index to hex: the baseline PCRs of the evidence that was approved. */
  pcrs: Readonly<Record<number, string>>;
  /** The verdict that held the first node with these values. */
  verdictId: number;
  approvedAtSeconds: number;
  reason: string;
}
