import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `create index nodes_by_status on nodes (status, suspect_since)`,
  `create index audit_events_by_time on audit_events (at)`,
] as const;

export const figuresAndRetention = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
