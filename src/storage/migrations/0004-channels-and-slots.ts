import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `create table channels (
    name text primary key,
    revision integer not null,
    document text not null
  ) strict`,
  `create table node_choices (
    node_id text primary key references nodes (id),
    rollout_group text,
    pinned_digest text
  ) strict`,
  `create table node_releases (
    node_id text not null references nodes (id),
    release_digest text not null,
    version integer not null,
    experience text not null check (experience in ('trying', 'healthy', 'failed')),
    failed_tries integer not null,
    reset_count integer not null,
    restart_count integer not null,
    granted_at integer not null,
    outcome text not null check (outcome in ('open', 'healthy', 'failed', 'left')),
    rollout_id text,
    healthy_at integer,
    failure_kind text check (failure_kind in ('came-back', 'silent', 'unhealthy')),
    failure_at integer,
    report text,
    report_at integer,
    primary key (node_id, release_digest)
  ) strict`,
  `create index node_releases_of_rollout on node_releases (rollout_id, experience)`,
  `create index node_releases_open on node_releases (granted_at) where outcome = 'open'`,
  `create index nodes_of_channel on nodes (channel)`,
] as const;

export const channelsAndSlots = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
