import type { DatabaseTransaction } from './database.ts';
import { toJsonColumn } from './rows.ts';

/** Part of the transaction that does what it tells of: neither is there without the other. */
export async function insertAuditEvent(
  tx: DatabaseTransaction,
  event: {
    atSeconds: number;
    kind: string;
    subject: string;
    detail?: Readonly<Record<string, string | readonly string[]>>;
  },
): Promise<void> {
  await tx
    .insertInto('audit_events')
    .values({
      at: event.atSeconds,
      kind: event.kind,
      subject: event.subject,
      detail: toJsonColumn(event.detail ?? {}),
    })
    .execute();
}
