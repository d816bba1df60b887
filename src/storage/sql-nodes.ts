import type { Selectable } from 'kysely';
import type { AttestationStore, ListedEk } from '../attestation/attestation-store.ts';
import type { NodeRecord } from '../attestation/node.ts';
import type { Database } from './database.ts';
import { toJsonColumn, toNode } from './rows.ts';
import type { Schema } from './schema.ts';

type NodeQueries = Pick<
  AttestationStore,
  | 'findNode'
  | 'findNodeByAk'
  | 'findNodeByEk'
  | 'listNodes'
  | 'findListedEk'
  | 'changeNodeStatus'
  | 'forgetCounters'
  | 'importListedEks'
  | 'listListedEks'
>;

export function createSqlNodeQueries(database: Database): NodeQueries {
  const withKeys = async (row: Selectable<Schema['nodes']> | undefined): Promise<NodeRecord | undefined> => {
    if (row === undefined) return undefined;
    const keys = await database
      .selectFrom('endorsement_keys')
      .select('fingerprint')
      .where('node_id', '=', row.id)
      .orderBy('fingerprint')
      .execute();
    return toNode(
      row,
      keys.map((key) => key.fingerprint),
    );
  };

  return {
    async findNode(id) {
      return withKeys(await database.selectFrom('nodes').selectAll().where('id', '=', id).executeTakeFirst());
    },

    async findNodeByAk(akName) {
      return withKeys(
        await database.selectFrom('nodes').selectAll().where('ak_name', '=', akName).executeTakeFirst(),
      );
    },

    async findNodeByEk(fingerprint) {
      return withKeys(
        await database
          .selectFrom('nodes')
          .innerJoin('endorsement_keys', 'endorsement_keys.node_id', 'nodes.id')
          .selectAll('nodes')
          .where('endorsement_keys.fingerprint', '=', fingerprint)
          .executeTakeFirst(),
      );
    },

    async listNodes() {
      const [nodes, keys] = await Promise.all([
        database.selectFrom('nodes').selectAll().orderBy('created_at').orderBy('id').execute(),
        database.selectFrom('endorsement_keys').select(['node_id', 'fingerprint']).execute(),
      ]);
      const byNode = Map.groupBy(keys, (key) => key.node_id);
      return nodes.map((row) =>
        toNode(
          row,
          (byNode.get(row.id) ?? []).map((key) => key.fingerprint),
        ),
      );
    },

    async findListedEk(fingerprint) {
      return database
        .selectFrom('listed_eks')
        .select('channel')
        .where('fingerprint', '=', fingerprint)
        .executeTakeFirst();
    },

    async changeNodeStatus(change) {
      return database.transaction().execute(async (tx) => {
        const changed = await tx
          .updateTable('nodes')
          .set({
            status: change.to,
            ...(change.admission !== undefined && { admission: change.admission }),
            ...(change.channel !== undefined && { channel: change.channel }),
          })
          .where('id', '=', change.nodeId)
          .where('status', 'in', change.from)
          .returning('id')
          .executeTakeFirst();
        if (changed === undefined) return 'unchanged';
        await tx
          .updateTable('grants')
          .set({ closed_at: change.atSeconds })
          .where('node_id', '=', change.nodeId)
          .where('closed_at', 'is', null)
          .execute();
        await tx
          .insertInto('audit_events')
          .values({
            at: change.atSeconds,
            kind: `node-${change.to}`,
            subject: change.nodeId,
            detail: toJsonColumn({ reason: change.reason ?? '' }),
          })
          .execute();
        return 'changed';
      });
    },

    async forgetCounters({ nodeId, atSeconds, reason }) {
      await database.transaction().execute(async (tx) => {
        await tx
          .updateTable('nodes')
          .set({ reset_count: null, restart_count: null, clock: null, firmware_version: null })
          .where('id', '=', nodeId)
          .execute();
        await tx
          .insertInto('audit_events')
          .values({
            at: atSeconds,
            kind: 'node-hold-lifted',
            subject: nodeId,
            detail: toJsonColumn({ reason: reason ?? '' }),
          })
          .execute();
      });
    },

    async importListedEks(entries) {
      return database.transaction().execute(async (tx) => {
        let added = 0;
        for (const entry of entries) {
          const row = await tx
            .insertInto('listed_eks')
            .values(toListedEkRow(entry))
            .onConflict((conflict) => conflict.doNothing())
            .returning('fingerprint')
            .executeTakeFirst();
          if (row !== undefined) added += 1;
        }
        return { added, known: entries.length - added };
      });
    },

    async listListedEks() {
      const rows = await database.selectFrom('listed_eks').selectAll().orderBy('fingerprint').execute();
      return rows.map((row) => ({
        fingerprint: row.fingerprint,
        channel: row.channel,
        comment: row.comment,
        importedAtSeconds: row.imported_at,
      }));
    },
  };
}

function toListedEkRow(entry: ListedEk) {
  return {
    fingerprint: entry.fingerprint,
    channel: entry.channel,
    comment: entry.comment,
    imported_at: entry.importedAtSeconds,
  };
}
