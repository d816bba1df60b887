import { type Kysely, sql } from 'kysely';

const STATEMENTS = [`alter table nodes add column floor_reset integer not null default 0`] as const;

export const floorResets = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
