/** Something that happened and that somebody should be able to find again; the audit log of this server. */
export interface AuditEvent {
  id: number;
  atSeconds: number;
  /** `node-suspect`, `policy-applied`, … */
  kind: string;
  /** The node, policy or token it is about. */
  subject: string;
  detail: Readonly<Record<string, string>>;
}

export interface EventStore {
  /** Those after this id, oldest first. */
  listEvents(query: { afterId: number; limit: number }): Promise<AuditEvent[]>;
  /** What happened by itself, outside of any transaction. Durable when this returns. */
  appendEvent(event: Omit<AuditEvent, 'id'>): Promise<void>;
}

export interface EventRetention {
  /**
   * Removes the oldest events: those from before this moment, and those beyond `keptCount`; of them at most `limit`, so
   * that nobody waits long. A crash leaves some of them for the next time.
   *
   * @returns how many; fewer than `limit` when nothing is left to remove
   */
  forgetEvents(what: { beforeSeconds: number; keptCount: number; limit: number }): Promise<number>;
}
