import type { Selectable } from 'kysely';
import type { AttestationStore } from '../attestation/attestation-store.ts';
import type { NodeRecord } from '../attestation/node.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database } from './database.ts';
import { toNode } from './rows.ts';
import type { Schema } from './schema.ts';
import { closeGrantsOfNode } from './sql-grants.ts';

type NodeQueries = Pick<
  AttestationStore,
  'findNode' | 'findNodeByAk' | 'findNodeByEk' | 'findNodeByRetiredAk' | 'listNodes' | 'changeNodeStatus'
>;

export function createSqlNodeQueries(database: Database): NodeQueries {
  const withKeys = async (row: Selectable<Schema['nodes']> | undefined): Promise<NodeRecord | undefined> => {
    if (row === undefined) return undefined;
    const keys = await database
      .selectFrom('endorsement_keys')
      .select(['fingerprint', 'manufacturer'])
      .where('node_id', '=', row.id)
      .execute();
    return toNode(row, keys);
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

    async findNodeByRetiredAk(akName) {
      return withKeys(
        await database
          .selectFrom('nodes')
          .innerJoin('retired_aks', 'retired_aks.node_id', 'nodes.id')
          .selectAll('nodes')
          .where('retired_aks.ak_name', '=', akName)
          .executeTakeFirst(),
      );
    },

    async listNodes() {
      const [nodes, keys] = await Promise.all([
        database.selectFrom('nodes').selectAll().orderBy('created_at').orderBy('id').execute(),
        database.selectFrom('endorsement_keys').select(['node_id', 'fingerprint', 'manufacturer']).execute(),
      ]);
      const byNode = Map.groupBy(keys, (key) => key.node_id);
      return nodes.map((row) => toNode(row, byNode.get(row.id) ?? []));
    },

    async changeNodeStatus({ nodeId, from, to, admission, channel, atSeconds, reason = '' }) {
      return database.transaction().execute(async (tx) => {
        const changed = await tx
          .updateTable('nodes')
          .set({
            status: to,
            ...(admission !== undefined && { admission }),
            ...(channel !== undefined && { channel }),
          })
          .where('id', '=', nodeId)
          .where('status', 'in', from)
          .returning('id')
          .executeTakeFirst();
        if (changed === undefined) return 'unchanged';
        await closeGrantsOfNode(tx, { nodeId, atSeconds });
        await insertAuditEvent(tx, { atSeconds, kind: `node-${to}`, subject: nodeId, detail: { reason } });
        return 'changed';
      });
    },
  };
}
