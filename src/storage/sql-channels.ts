import { type ChannelState, createChannel } from '../releases/channel.ts';
import type { ChannelStore } from '../releases/channel-store.ts';
import { roomIn } from '../releases/rollout.ts';
import { insertAuditEvent, insertNodeEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { toJsonColumn } from './rows.ts';
import {
  countDeparted,
  countTrying,
  findHistory,
  isSameHistory,
  listHistories,
  saveHistory,
} from './sql-node-releases.ts';
import { forgetReleases, listReportEnds, listReports } from './sql-reports.ts';

/** {@link ChannelStore} on SQL. */
export function createSqlChannelStore(database: Database): ChannelStore {
  return {
    async listChannels() {
      const rows = await database.selectFrom('channels').select('document').orderBy('name').execute();
      return rows.map(({ document }) => toChannel(document));
    },

    async findChannel(channel) {
      const row = await database
        .selectFrom('channels')
        .select('document')
        .where('name', '=', channel)
        .executeTakeFirst();
      return row === undefined ? createChannel(channel) : toChannel(row.document);
    },

    saveChannel: ({ before, after, events, atSeconds }) =>
      database.transaction().execute(async (tx) => {
        if (!(await replaceChannel(tx, before, after))) return 'moved';
        for (const event of events) await insertAuditEvent(tx, { atSeconds, ...event });
        return 'saved';
      }),

    findHistory: (nodeId) => findHistory(database, nodeId),
    listHistories: (channel) => listHistories(database, channel),

    async listSilent({ channel, grantedSinceSeconds, grantedBeforeSeconds, limit }) {
      const rows = await database
        .selectFrom('node_releases')
        .innerJoin('nodes', 'nodes.id', 'node_releases.node_id')
        .select('node_id')
        .distinct()
        .where('outcome', '=', 'open')
        .where('granted_at', '>=', grantedSinceSeconds)
        .where('granted_at', '<=', grantedBeforeSeconds)
        .where('nodes.channel', '=', channel)
        .limit(limit)
        .execute();
      return rows.map((row) => row.node_id);
    },

    countTrying: (query) => countTrying(database, query),
    countDeparted: (query) => countDeparted(database, query),

    async listGroups(channel) {
      const rows = await database
        .selectFrom('node_choices')
        .innerJoin('nodes', 'nodes.id', 'node_choices.node_id')
        .select('rollout_group')
        .distinct()
        .where('nodes.channel', '=', channel)
        .where('nodes.status', '=', 'enrolled')
        .execute();
      return rows.flatMap((row) => (row.rollout_group === null ? [] : [row.rollout_group]));
    },

    saveHistory: ({ before, after, channel, joins, report, events, atSeconds }) =>
      database.transaction().execute(async (tx) => {
        if (!(await isAtRevision(tx, channel))) return 'moved';
        if (!isSameHistory(await findHistory(tx, after.nodeId), before)) return 'moved';
        const others =
          joins &&
          (await countTrying(tx, { channel: channel.channel, rollout: joins, exceptNodeId: after.nodeId }));
        if (joins && others && roomIn(joins, others) === 0) return 'moved';
        await saveHistory(tx, { before, after, channel, ...(report && { report }) });
        for (const event of events) await insertNodeEvent(tx, { atSeconds, ...event });
        return 'saved';
      }),

    forgetReleases: (query) => forgetReleases(database, query),
    listReports: (nodeId) => listReports(database, nodeId),
    listReportEnds: (query) => listReportEnds(database, query),

    async listReleasesInUse(nowSeconds) {
      const pins = await database
        .selectFrom('node_choices')
        .select('pinned_digest as digest')
        .where('pinned_digest', 'is not', null)
        .execute();
      const grants = await database
        .selectFrom('grants')
        .select('release_digest as digest')
        .where('closed_at', 'is', null)
        .where('expires_at', '>', nowSeconds)
        .execute();
      return [...new Set([...pins, ...grants].flatMap(({ digest }) => (digest === null ? [] : [digest])))];
    },
  };
}

/** Written by this program only, whole, in a strict table. */
function toChannel(document: string): ChannelState {
  return JSON.parse(document) as ChannelState;
}

/** False when somebody else has changed the channel since. */
async function replaceChannel(
  tx: DatabaseTransaction,
  before: ChannelState,
  after: ChannelState,
): Promise<boolean> {
  const row = { name: after.channel, revision: after.revision, document: toJsonColumn(after) };
  const saved =
    before.revision === 0
      ? await tx
          .insertInto('channels')
          .values(row)
          .onConflict((conflict) => conflict.doNothing())
          .returning('name')
          .executeTakeFirst()
      : await tx
          .updateTable('channels')
          .set(row)
          .where('name', '=', after.channel)
          .where('revision', '=', before.revision)
          .returning('name')
          .executeTakeFirst();
  return saved !== undefined;
}

async function isAtRevision(tx: DatabaseTransaction, { channel, revision }: ChannelState): Promise<boolean> {
  const row = await tx
    .selectFrom('channels')
    .select('revision')
    .where('name', '=', channel)
    .executeTakeFirst();
  return (row?.revision ?? 0) === revision;
}
