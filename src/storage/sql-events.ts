import type { EventStore } from '../attestation/event-store.ts';
import { isJsonObject } from '../core/strict-json.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database } from './database.ts';
import { fromJsonColumn } from './rows.ts';

export function createSqlEventStore(database: Database): EventStore {
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
  };
}

function toDetail(column: string): Record<string, string> {
  const value = fromJsonColumn(column);
  if (!isJsonObject(value)) return {};
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, typeof item === 'string' ? item : JSON.stringify(item)]),
  );
}
