/** A single-use permission to enrol one machine, as an operator hands it out. Only its hash is kept. */
export interface EnrolmentToken {
  /** Hex SHA-256 of the token's text. */
  sha256: string;
  channel: string;
  comment: string;
  createdAtSeconds: number;
  expiresAtSeconds: number;
  /** The node that used it. */
  usedBy?: string;
}

/** Spending one is part of {@link AttestationStore.commitActivation}. Every write is one durable transaction. */
export interface EnrolmentTokenStore {
  createToken(token: EnrolmentToken): Promise<void>;
  /** Undefined when there is none, or it was used or withdrawn; whether it has expired is for the caller. */
  findUnusedToken(sha256: string): Promise<EnrolmentToken | undefined>;
  listTokens(): Promise<EnrolmentToken[]>;
  withdrawToken(of: { sha256Prefix: string; atSeconds: number }): Promise<'withdrawn' | 'unknown'>;
}
