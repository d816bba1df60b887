import type { TrustAnchorStore } from '../attestation/endorsement/trust-anchor-store.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database } from './database.ts';

export function createSqlTrustAnchorStore(database: Database): TrustAnchorStore {
  return {
    async listEkCertificates() {
      const rows = await database
        .selectFrom('endorsement_keys')
        .innerJoin('nodes', 'nodes.id', 'endorsement_keys.node_id')
        .select(['node_id', 'certificate'])
        .where('endorsement_keys.identity', '=', 'certified')
        .where('nodes.status', 'in', ['enrolled', 'pending'])
        .orderBy('node_id')
        .execute();
      return rows.flatMap(({ node_id: nodeId, certificate }) =>
        certificate === null ? [] : [{ nodeId, certificate }],
      );
    },

    async recordEvents(events) {
      await database.transaction().execute(async (tx) => {
        for (const event of events) await insertAuditEvent(tx, event);
      });
    },
  };
}
