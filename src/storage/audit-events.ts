import { sql } from 'kysely';
import type { DatabaseTransaction } from './database.ts';
import { toJsonColumn } from './rows.ts';

interface NewEvent {
  atSeconds: number;
  kind: string;
  subject: string;
  detail?: Readonly<Record<string, string | readonly string[]>>;
}

/** Part of the transaction that does what it tells of: neither is there without the other. */
export async function insertAuditEvent(tx: DatabaseTransaction, event: NewEvent): Promise<void> {
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

/** The same number of verdicts of a node is kept. */
const KEPT_OF_A_KIND = 500;

/**
 * What a node brings about as often as it likes: it fills no disk, and crowds out nothing but its own events of that
 * kind, least of all what operators decided.
 *
 * @param event quietSeconds: the same kind with the same `version` is not told again of this subject so soon
 */
export async function insertNodeEvent(
  tx: DatabaseTransaction,
  event: NewEvent & { quietSeconds?: number },
): Promise<void> {
  if (event.quietSeconds !== undefined && (await wasToldSince(tx, event, event.quietSeconds))) return;
  await insertAuditEvent(tx, event);
  const ofItsKind = tx
    .selectFrom('audit_events')
    .select('id')
    .where('subject', '=', event.subject)
    .where('kind', '=', event.kind)
    .orderBy('at', 'desc')
    .orderBy('id', 'desc');
  // SQLite has no offset without a limit.
  const beyond = ofItsKind.limit(KEPT_OF_A_KIND).offset(KEPT_OF_A_KIND);
  await tx.deleteFrom('audit_events').where('id', 'in', beyond).execute();
}

async function wasToldSince(
  tx: DatabaseTransaction,
  event: NewEvent,
  quietSeconds: number,
): Promise<boolean> {
  const version = event.detail?.version;
  const told = await tx
    .selectFrom('audit_events')
    .select('id')
    .where('subject', '=', event.subject)
    .where('kind', '=', event.kind)
    .where('at', '>', event.atSeconds - quietSeconds)
    .$if(typeof version === 'string', (query) =>
      query.where(sql<string>`json_extract(detail, '$.version')`, '=', String(version)),
    )
    .executeTakeFirst();
  return told !== undefined;
}
