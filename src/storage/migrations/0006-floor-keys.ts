import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `alter table stage0_images add column floor_key text`,
  `alter table nodes add column floor_missed integer not null default 0`,
] as const;

export const floorKeys = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
