import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `create table kept_roots (
    name text primary key,
    bytes blob not null,
    kept_at integer not null
  ) strict`,
] as const;

export const keptRoots = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
