import type { AttestationStore, GrantRecord } from '../attestation/attestation-store.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { countFloorDue } from './sql-floors.ts';

export function createSqlGrantQueries(
  database: Database,
): Pick<AttestationStore, 'findOpenGrant' | 'closeGrant'> {
  return {
    async findOpenGrant(id) {
      const row = await database
        .selectFrom('grants')
        .selectAll()
        .where('id', '=', id)
        .where('closed_at', 'is', null)
        .executeTakeFirst();
      return (
        row && {
          id: row.id,
          nodeId: row.node_id,
          channel: row.channel,
          version: row.version,
          releaseDigest: row.release_digest,
          clientThumbprint: row.client_thumbprint,
          issuedAtSeconds: row.issued_at,
          expiresAtSeconds: row.expires_at,
        }
      );
    },

    async closeGrant({ id, nodeId, atSeconds }) {
      await database.transaction().execute(async (tx) => {
        if (await closeGrants(tx, { column: 'id', value: id, atSeconds })) await countFloorDue(tx, nodeId);
      });
    },
  };
}

export async function replaceGrant(tx: DatabaseTransaction, grant: GrantRecord): Promise<void> {
  await closeGrantsOfNode(tx, { nodeId: grant.nodeId, atSeconds: grant.issuedAtSeconds });
  await tx
    .insertInto('grants')
    .values({
      id: grant.id,
      node_id: grant.nodeId,
      channel: grant.channel,
      version: grant.version,
      release_digest: grant.releaseDigest,
      client_thumbprint: grant.clientThumbprint,
      issued_at: grant.issuedAtSeconds,
      expires_at: grant.expiresAtSeconds,
      closed_at: null,
    })
    .execute();
}

export async function closeGrantsOfNode(
  tx: DatabaseTransaction,
  { nodeId, atSeconds }: { nodeId: string; atSeconds: number },
): Promise<void> {
  await closeGrants(tx, { column: 'node_id', value: nodeId, atSeconds });
}

/** Whether there was an open one. */
async function closeGrants(
  tx: DatabaseTransaction,
  { column, value, atSeconds }: { column: 'id' | 'node_id'; value: string; atSeconds: number },
): Promise<boolean> {
  const { numUpdatedRows } = await tx
    .updateTable('grants')
    .set({ closed_at: atSeconds })
    .where(column, '=', value)
    .where('closed_at', 'is', null)
    .executeTakeFirst();
  return numUpdatedRows > 0n;
}
