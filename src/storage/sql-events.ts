import type { EventRetention, EventStore } from '../attestation/event-store.ts';
import { isJsonObject } from '../core/strict-json.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { fromJsonColumn } from './rows.ts';

export function createSqlEventStore(database: Database): EventStore & EventRetention {
  return {
    appendEvent: (event) => database.transaction().execute((tx) => insertAuditEvent(tx, event)),

    async listEvents({ afterId, limit }) {
      const rows = await database
        .selectFrom('audit_events')
        .selectAll()
        .where('id', '>', afterId)
        .orderBy('id')
        .limit(limit)
        .execute();
      return rows.map(({ id, at, kind, subject, detail }) => ({
        id,
        atSeconds: at,
        kind,
        subject,
        detail: toDetail(detail),
      }));
    },

    forgetEvents: ({ beforeSeconds, keptCount, limit }) =>
      database.transaction().execute(async (tx) => {
        const aged = await forgetAged(tx, { beforeSeconds, limit });
        return aged + (await forgetBeyond(tx, { keptCount, limit: limit - aged }));
      }),
  };
}

async function forgetAged(
  tx: DatabaseTransaction,
  { beforeSeconds, limit }: { beforeSeconds: number; limit: number },
): Promise<number> {
  const aged = tx
    .selectFrom('audit_events')
    .select('id')
    .where('at', '<', beforeSeconds)
    .orderBy('at')
    .limit(limit);
  const { numDeletedRows } = await tx.deleteFrom('audit_events').where('id', 'in', aged).executeTakeFirst();
  return Number(numDeletedRows);
}

async function forgetBeyond(
  tx: DatabaseTransaction,
  { keptCount, limit }: { keptCount: number; limit: number },
): Promise<number> {
  const { count } = await tx
    .selectFrom('audit_events')
    .select((query) => query.fn.countAll<number>().as('count'))
    .executeTakeFirstOrThrow();
  const beyond = Math.min(count - keptCount, limit);
  if (beyond <= 0) return 0;
  const oldest = tx.selectFrom('audit_events').select('id').orderBy('id').limit(beyond);
  const { numDeletedRows } = await tx.deleteFrom('audit_events').where('id', 'in', oldest).executeTakeFirst();
  return Number(numDeletedRows);
}

function toDetail(column: string): Record<string, string> {
  const value = fromJsonColumn(column);
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, typeof item === 'string' ? item : JSON.stringify(item)]),
  );
}
