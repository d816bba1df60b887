import { sql } from 'kysely';
import type { BootReport, ChannelStore } from '../releases/channel-store.ts';
import type { Database } from './database.ts';

type Query<Method extends keyof ChannelStore> = Parameters<ChannelStore[Method]>[0];

export async function listReports(
  database: Database,
  nodeId: string,
): Promise<ReadonlyMap<string, BootReport>> {
  const rows = await database
    .selectFrom('node_releases')
    .select(['release_digest as key', 'report as text', 'report_at'])
    .where('node_id', '=', nodeId)
    .execute();
  return toReports(rows);
}

export async function listReportEnds(
  database: Database,
  { rollout, maxCharacters }: Query<'listReportEnds'>,
): Promise<ReadonlyMap<string, BootReport>> {
  const end = sql<string | null>`case when length(report) > ${maxCharacters}
    then substr(report, length(report) - ${maxCharacters} + 1) else report end`;
  const rows = await database
    .selectFrom('node_releases')
    .select(['node_id as key', end.as('text'), 'report_at'])
    .where('rollout_id', '=', rollout.id)
    .where('release_digest', '=', rollout.releaseDigest)
    .execute();
  return toReports(rows);
}

/** One release at a time: none of these writes is long. */
export async function forgetReleases(
  database: Database,
  { except, bootedBeforeSeconds }: Query<'forgetReleases'>,
): Promise<number> {
  const known = await database
    .selectFrom('node_releases')
    .select('release_digest')
    .distinct()
    .where('granted_at', '<', bootedBeforeSeconds)
    .execute();
  let forgotten = 0;
  for (const { release_digest } of known) {
    if (except.has(release_digest)) continue;
    const { numDeletedRows } = await database
      .deleteFrom('node_releases')
      .where('release_digest', '=', release_digest)
      .where('granted_at', '<', bootedBeforeSeconds)
      .executeTakeFirstOrThrow();
    forgotten += Number(numDeletedRows);
  }
  return forgotten;
}

function toReports(
  rows: readonly { key: string; text: string | null; report_at: number | null }[],
): ReadonlyMap<string, BootReport> {
  return new Map(
    rows.flatMap(({ key, text, report_at }) =>
      text === null || report_at === null ? [] : [[key, { text, atSeconds: report_at }] as const],
    ),
  );
}
