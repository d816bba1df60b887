import type { AuditEvent } from '../event-store.ts';

/** What managing trust anchors needs of the database. */
export interface TrustAnchorStore {
  /** The EK certificates that nodes were certified with; of nodes that are rejected or revoked none. */
  listEkCertificates(): Promise<{ nodeId: string; certificate: Uint8Array }[]>;
  /** All or none; they survive a crash once this resolved. */
  recordEvents(events: readonly Omit<AuditEvent, 'id'>[]): Promise<void>;
}
