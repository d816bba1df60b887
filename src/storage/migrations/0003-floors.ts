import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `alter table nodes add column floor_record blob check (length(floor_record) = 64)`,
  `alter table nodes add column floor_expected integer not null default 0`,
  `create index audit_events_by_subject on audit_events (subject, kind, at)`,
] as const;

export const floors = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
