import { isDeepStrictEqual } from 'node:util';
import type { Insertable, Selectable } from 'kysely';
import type { ChannelState } from '../releases/channel.ts';
import type { BootReport } from '../releases/channel-store.ts';
import {
  DEFAULT_HEALTH_RULES,
  experienceOf,
  type NodeHistory,
  type NodeRelease,
} from '../releases/node-releases.ts';
import type { Rollout, RolloutTally } from '../releases/rollout.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import type { Schema } from './schema.ts';

/** All that decisions are made from. The reports are for people, and long: whoever reads every row must not read them. */
const COLUMNS = [
  'node_releases.node_id',
  'node_releases.release_digest',
  'node_releases.version',
  'node_releases.failed_tries',
  'node_releases.reset_count',
  'node_releases.restart_count',
  'node_releases.granted_at',
  'node_releases.outcome',
  'node_releases.rollout_id',
  'node_releases.healthy_at',
  'node_releases.failure_kind',
  'node_releases.failure_at',
] as const;

type Row = Omit<Selectable<Schema['node_releases']>, 'experience' | 'report' | 'report_at'>;
type Choices = Pick<Selectable<Schema['node_choices']>, 'rollout_group' | 'pinned_digest'>;

export async function findHistory(database: Database, nodeId: string): Promise<NodeHistory> {
  const rows = await database
    .selectFrom('node_releases')
    .select(COLUMNS)
    .where('node_id', '=', nodeId)
    .orderBy('release_digest')
    .execute();
  const choices = await database
    .selectFrom('node_choices')
    .select(['rollout_group', 'pinned_digest'])
    .where('node_id', '=', nodeId)
    .executeTakeFirst();
  return toHistory(nodeId, rows, choices);
}

export async function listHistories(database: Database, channel: string): Promise<NodeHistory[]> {
  const nodes = await database
    .selectFrom('nodes')
    .leftJoin('node_choices', 'node_choices.node_id', 'nodes.id')
    .select(['nodes.id', 'rollout_group', 'pinned_digest'])
    .where('channel', '=', channel)
    .where('status', '=', 'enrolled')
    .orderBy('nodes.id')
    .execute();
  const rows = await database
    .selectFrom('node_releases')
    .innerJoin('nodes', 'nodes.id', 'node_releases.node_id')
    .select(COLUMNS)
    .where('nodes.channel', '=', channel)
    .execute();
  const ofNode = Map.groupBy(rows, (row) => row.node_id);
  return nodes.map((node) => toHistory(node.id, ofNode.get(node.id) ?? [], node));
}

/** Those who are healthy need no look: only as many rows as the failure budget lets there be. Who is gone has failed. */
export async function countTrying(
  database: Database,
  query: { channel: string; rollout: Rollout; exceptNodeId: string },
): Promise<Pick<RolloutTally, 'open' | 'away' | 'failed'>> {
  const rows = await listUnhealthy(database, query);
  const trying = rows.filter((row) => row.experience === 'trying' && !hasDeparted(row, query.channel));
  const open = trying.filter(({ outcome }) => outcome === 'open').length;
  return { open, away: trying.length - open, failed: rows.length - trying.length };
}

export async function countDeparted(
  database: Database,
  query: { channel: string; rollout: Rollout },
): Promise<number> {
  const rows = await listUnhealthy(database, { ...query, exceptNodeId: '' });
  return rows.filter((row) => hasDeparted(row, query.channel)).length;
}

function listUnhealthy(
  database: Database,
  { rollout, exceptNodeId }: { rollout: Rollout; exceptNodeId: string },
) {
  return database
    .selectFrom('node_releases')
    .innerJoin('nodes', 'nodes.id', 'node_releases.node_id')
    .select(['experience', 'outcome', 'nodes.status', 'nodes.channel'])
    .where('rollout_id', '=', rollout.id)
    .where('experience', 'in', ['trying', 'failed'])
    .where('node_id', '!=', exceptNodeId)
    .execute();
}

function hasDeparted(node: { status: string; channel: string }, channel: string): boolean {
  return node.status !== 'enrolled' || node.channel !== channel;
}

export function isSameHistory(a: NodeHistory, b: NodeHistory): boolean {
  return isDeepStrictEqual(a, b);
}

/** Only what differs; a history loses releases to `forgetReleases` alone. */
export async function saveHistory(
  tx: DatabaseTransaction,
  change: {
    before: NodeHistory;
    after: NodeHistory;
    channel: ChannelState;
    report?: BootReport & { releaseDigest: string };
  },
): Promise<void> {
  const { before, after, channel, report } = change;
  const { nodeId } = after;
  const rules = channel.mode === 'slots' ? channel.health : DEFAULT_HEALTH_RULES;
  for (const record of after.releases.values()) {
    if (before.releases.get(record.releaseDigest) === record) continue;
    const columns = { ...toColumns(record), experience: experienceOf(record, rules) };
    await tx
      .insertInto('node_releases')
      .values({ node_id: nodeId, ...columns })
      .onConflict((conflict) => conflict.columns(['node_id', 'release_digest']).doUpdateSet(columns))
      .execute();
  }
  if (before.pin !== after.pin || before.group !== after.group) await saveChoices(tx, after);
  if (report !== undefined)
    await tx
      .updateTable('node_releases')
      .set({ report: report.text, report_at: report.atSeconds })
      .where('node_id', '=', nodeId)
      .where('release_digest', '=', report.releaseDigest)
      .execute();
}

async function saveChoices(tx: DatabaseTransaction, { nodeId, group, pin }: NodeHistory): Promise<void> {
  const choices = { rollout_group: group ?? null, pinned_digest: pin ?? null };
  await tx
    .insertInto('node_choices')
    .values({ node_id: nodeId, ...choices })
    .onConflict((conflict) => conflict.column('node_id').doUpdateSet(choices))
    .execute();
}

function toHistory(nodeId: string, rows: readonly Row[], choices: Choices | undefined): NodeHistory {
  const group = choices?.rollout_group;
  const pin = choices?.pinned_digest;
  return {
    nodeId,
    ...(typeof group === 'string' && { group }),
    ...(typeof pin === 'string' && { pin }),
    releases: new Map(rows.map((row) => [row.release_digest, toRecord(row)])),
  };
}

function toRecord(row: Row): NodeRelease {
  return {
    releaseDigest: row.release_digest,
    version: row.version,
    failedTries: row.failed_tries,
    lastBoot: {
      resetCount: row.reset_count,
      restartCount: row.restart_count,
      grantedAtSeconds: row.granted_at,
      outcome: row.outcome,
    },
    ...(row.rollout_id !== null && { rolloutId: row.rollout_id }),
    ...(row.healthy_at !== null && { healthyAtSeconds: row.healthy_at }),
    ...(row.failure_kind !== null &&
      row.failure_at !== null && { lastFailure: { kind: row.failure_kind, atSeconds: row.failure_at } }),
  };
}

function toColumns(record: NodeRelease): Omit<Insertable<Schema['node_releases']>, 'node_id' | 'experience'> {
  const { lastBoot, lastFailure } = record;
  return {
    release_digest: record.releaseDigest,
    version: record.version,
    failed_tries: record.failedTries,
    reset_count: lastBoot.resetCount,
    restart_count: lastBoot.restartCount,
    granted_at: lastBoot.grantedAtSeconds,
    outcome: lastBoot.outcome,
    rollout_id: record.rolloutId ?? null,
    healthy_at: record.healthyAtSeconds ?? null,
    failure_kind: lastFailure?.kind ?? null,
    failure_at: lastFailure?.atSeconds ?? null,
  };
}
