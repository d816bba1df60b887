import { type Kysely, sql } from 'kysely';

const STATEMENTS = [
  `create table nodes (
    id text primary key,
    channel text not null,
    status text not null check (status in ('pending', 'enrolled', 'rejected', 'revoked')),
    identity text not null check (identity in ('certified', 'uncertified')),
    admission text not null check (admission in ('listed', 'token', 'approved', 'open', 'pending')),
    ak_public blob not null,
    ak_name text not null unique,
    state text check (state in ('measured', 'self-reported', 'rom-asserted')),
    untrusted_hints text not null,
    reset_count integer,
    restart_count integer,
    clock text,
    firmware_version text,
    created_at integer not null,
    last_verdict_at integer
  ) strict`,
  `create table endorsement_keys (
    fingerprint text primary key,
    node_id text not null references nodes (id),
    public_area blob not null,
    certificate blob,
    manufacturer text,
    identity text not null check (identity in ('certified', 'uncertified'))
  ) strict`,
  `create index endorsement_keys_by_node on endorsement_keys (node_id)`,
  `create table listed_eks (
    fingerprint text primary key,
    channel text not null,
    comment text not null,
    imported_at integer not null
  ) strict`,
  `create table challenges (
    sha256 text primary key,
    ak_name text not null,
    purpose text not null check (purpose in ('enrol', 'boot', 'health', 'reattest')),
    enrolment_id text,
    issued_at integer not null,
    expires_at integer not null,
    consumed_at integer
  ) strict`,
  `create index challenges_by_expiry on challenges (expires_at)`,
  `create index challenges_by_ak on challenges (ak_name, purpose, expires_at)`,
  `create table enrolments (
    id text primary key,
    ak_public blob not null,
    ak_name text not null,
    client_thumbprint text not null,
    untrusted_hints text not null,
    expires_at integer not null,
    node_id text references nodes (id)
  ) strict`,
  `create index enrolments_by_expiry on enrolments (expires_at)`,
  `create index enrolments_by_node on enrolments (node_id)`,
  `create table enrolment_credentials (
    enrolment_id text not null references enrolments (id) on delete cascade,
    fingerprint text not null,
    public_area blob not null,
    certificate blob,
    manufacturer text,
    identity text not null check (identity in ('certified', 'uncertified')),
    secret_sha256 text not null,
    primary key (enrolment_id, fingerprint)
  ) strict`,
  `create table verdicts (
    id integer primary key autoincrement,
    node_id text references nodes (id),
    ak_name text not null,
    purpose text not null,
    verdict text not null check (verdict in ('accept', 'refuse', 'hold')),
    reasons text not null,
    notes text not null,
    facts text,
    release_digest text,
    evidence_document text,
    at integer not null
  ) strict`,
  `create index verdicts_by_node on verdicts (node_id, id)`,
  `create table grants (
    id text primary key,
    node_id text not null references nodes (id),
    channel text not null,
    version integer not null,
    release_digest text not null,
    client_thumbprint text not null,
    issued_at integer not null,
    expires_at integer not null,
    closed_at integer
  ) strict`,
  `create unique index one_open_grant_per_node on grants (node_id) where closed_at is null`,
  `create table metadata_files (
    name text primary key,
    bytes blob not null,
    published_at integer not null
  ) strict`,
  `create table stage0_images (
    sha256 text primary key,
    build integer not null,
    architecture text not null,
    pcr4_secure_boot text not null,
    pcr4_no_secure_boot text,
    pcr11 text not null
  ) strict`,
  `create table audit_events (
    id integer primary key autoincrement,
    at integer not null,
    kind text not null,
    subject text not null,
    detail text not null
  ) strict`,
] as const;

export const nodesAndReleases = {
  async up(database: Kysely<unknown>): Promise<void> {
    for (const statement of STATEMENTS) await sql.raw(statement).execute(database);
  },
};
