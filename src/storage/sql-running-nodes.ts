import type { Expression, ExpressionBuilder, SqlBool } from 'kysely';
import type { NodeSession, Suspicion } from '../attestation/node.ts';
import type { RunningNodeStore } from '../attestation/running-nodes.ts';
import { insertNodeEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import type { Schema } from './schema.ts';
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

/** Nothing of a node that has booted anew or got another AK since this was judged. */
export async function suspectJudged(
  tx: DatabaseTransaction,
  judged: { nodeId: string; akName: string; session?: NodeSession; suspicion: Suspicion },
): Promise<void> {
  const same = await tx
    .selectFrom('nodes')
    .select('id')
    .where('id', '=', judged.nodeId)
    .where('ak_name', '=', judged.akName)
    .where(isInSession(judged.session))
    .executeTakeFirst();
  if (same !== undefined) await suspectNode(tx, judged.nodeId, judged.suspicion);
}

function isInSession(session: NodeSession | undefined) {
  return (node: ExpressionBuilder<Schema, 'nodes'>): Expression<SqlBool> =>
    node.and([
      node('session_release_digest', 'is not distinct from', session?.releaseDigest ?? null),
      node('session_reset_count', 'is not distinct from', session?.resetCount ?? null),
      node('session_restart_count', 'is not distinct from', session?.restartCount ?? null),
      node('session_started_at', 'is not distinct from', session?.startedAtSeconds ?? null),
    ]);
}

/** Once: a node that is suspect already keeps the first reason, and loses whatever was granted since. */
async function suspectNode(
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
    await insertNodeEvent(tx, {
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
    await insertNodeEvent(tx, { atSeconds, kind: 'node-no-longer-suspect', subject: nodeId });
}
