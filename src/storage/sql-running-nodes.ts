import type { Suspicion } from '../attestation/node.ts';
import type { RunningNodeStore } from '../attestation/running-nodes.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { closeGrantsOfNode } from './sql-grants.ts';

export function createSqlRunningNodeStore(database: Database): RunningNodeStore {
  return {
    async listSilent({ channel, provenBeforeSeconds, limit }) {
      const rows = await database
        .selectFrom('nodes')
        .select('id')
        .where('channel', '=', channel)
        .where('status', '=', 'enrolled')
        .where('suspect_since', 'is', null)
        .where('session_proven_at', '<', provenBeforeSeconds)
        .orderBy('session_proven_at')
        .limit(limit)
        .execute();
      return rows.map(({ id }) => id);
    },

    async suspectSilent({ nodeId, provenBeforeSeconds, suspicion }) {
      return database.transaction().execute(async (tx) => {
        const silent = await tx
          .selectFrom('nodes')
          .select('id')
          .where('id', '=', nodeId)
          .where('status', '=', 'enrolled')
          .where('suspect_since', 'is', null)
          .where('session_proven_at', '<', provenBeforeSeconds)
          .executeTakeFirst();
        if (silent === undefined) return 'unchanged';
        await suspectNode(tx, nodeId, suspicion);
        return 'changed';
      });
    },
  };
}

/** Once: a node that is suspect already keeps the first reason, and loses whatever was granted since. */
export async function suspectNode(
  tx: DatabaseTransaction,
  nodeId: string,
  { sinceSeconds, reason }: Suspicion,
): Promise<void> {
  await closeGrantsOfNode(tx, { nodeId, atSeconds: sinceSeconds });
  const changed = await tx
    .updateTable('nodes')
    .set({ suspect_since: sinceSeconds, suspect_reason: reason })
    .where('id', '=', nodeId)
    .where('suspect_since', 'is', null)
    .returning('id')
    .executeTakeFirst();
  if (changed !== undefined)
    await insertAuditEvent(tx, {
      atSeconds: sinceSeconds,
      kind: 'node-suspect',
      subject: nodeId,
      detail: { reason },
    });
}

export async function clearSuspicion(
  tx: DatabaseTransaction,
  nodeId: string,
  atSeconds: number,
): Promise<void> {
  const changed = await tx
    .updateTable('nodes')
    .set({ suspect_since: null, suspect_reason: null })
    .where('id', '=', nodeId)
    .where('suspect_since', 'is not', null)
    .returning('id')
    .executeTakeFirst();
  if (changed !== undefined)
    await insertAuditEvent(tx, { atSeconds, kind: 'node-no-longer-suspect', subject: nodeId });
}
