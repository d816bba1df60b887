import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `alter table nodes add column ak_generation integer not null default 1`,
  `alter table nodes add column ak_may_change integer not null default 0`,
  `alter table nodes add column ak_rotation_due integer not null default 0`,
  `alter table nodes add column rom_asserted integer not null default 0`,
  `alter table nodes add column session_release_digest text`,
  `alter table nodes add column session_stage0_sha256 text`,
  `alter table nodes add column session_reset_count integer`,
  `alter table nodes add column session_restart_count integer`,
  `alter table nodes add column session_started_at integer`,
  `alter table nodes add column session_proven_at integer`,
  `alter table nodes add column suspect_since integer`,
  `alter table nodes add column suspect_reason text`,
  `create table retired_aks (
    ak_name text primary key,
    node_id text not null references nodes (id),
    retired_at integer not null
  ) strict`,
  `alter table enrolments add column token_sha256 text`,
  `alter table enrolments add column notes text not null default '[]'`,
  `create table enrolment_tokens (
    sha256 text primary key,
    channel text not null,
    comment text not null,
    created_at integer not null,
    expires_at integer not null,
    used_by text references nodes (id)
  ) strict`,
  `create table policies (
    name text not null,
    version integer not null,
    channels text not null,
    document text not null,
    applied_at integer not null,
    in_force integer not null check (in_force in (0, 1)),
    primary key (name, version)
  ) strict`,
  `create unique index one_policy_version_in_force on policies (name) where in_force = 1`,
  `create table policy_channels (
    channel text primary key,
    policy_name text not null
  ) strict`,
  `create table baselines (
    node_id text primary key references nodes (id),
    pcrs text not null,
    event_log blob,
    approved_by text not null check (approved_by in ('first-boot', 'operator', 'firmware-approval')),
    approved_at integer not null
  ) strict`,
  `create table firmware_approvals (
    id integer primary key autoincrement,
    name text not null,
    scope_kind text not null check (scope_kind in ('node', 'channel', 'all')),
    scope_value text,
    pcrs text not null,
    verdict_id integer not null,
    approved_at integer not null,
    reason text not null
  ) strict`,
  `alter table stage0_images add column withdrawn_at integer`,
] as const;

export const policiesAndRunningNodes = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
