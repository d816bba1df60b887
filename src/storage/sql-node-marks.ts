import type { ExpressionBuilder, UpdateObject } from 'kysely';
import type { AttestationStore, NodeMark } from '../attestation/attestation-store.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database } from './database.ts';
import type { Schema } from './schema.ts';
import { closeGrantsOfNode } from './sql-grants.ts';

interface Mark {
  set(node: ExpressionBuilder<Schema, 'nodes'>): UpdateObject<Schema, 'nodes'>;
  /** Kind of the audit event. */
  event: string;
  /** What was granted on what is taken away here ends with it. */
  closesGrants: boolean;
}

const MARKS: Readonly<Record<NodeMark['mark'], Mark>> = {
  'rotate-ak': {
    set: (node) => ({
      ak_generation: node('ak_generation', '+', 1),
      ak_may_change: 1,
      ak_rotation_due: 1,
    }),
    event: 'node-ak-rotation-begun',
    closesGrants: true,
  },
  'allow-new-ak': {
    set: () => ({ ak_may_change: 1 }),
    event: 'node-new-ak-allowed',
    closesGrants: false,
  },
  'assert-rom': { set: () => ({ rom_asserted: 1 }), event: 'node-rom-asserted', closesGrants: false },
  'withdraw-rom': { set: () => ({ rom_asserted: 0 }), event: 'node-rom-withdrawn', closesGrants: true },
  'reset-floor': {
    set: () => ({ floor_record: null, floor_expected: 0, floor_missed: 0, floor_reset: 1 }),
    event: 'node-floor-reset',
    closesGrants: false,
  },
};

export function createSqlNodeMarks(
  database: Database,
): Pick<AttestationStore, 'markNode' | 'moveNode' | 'forgetCounters'> {
  return {
    async markNode({ nodeId, mark, atSeconds, reason = '' }) {
      const { set, event, closesGrants } = MARKS[mark];
      return database.transaction().execute(async (tx) => {
        const changed = await tx
          .updateTable('nodes')
          .set(set)
          .where('id', '=', nodeId)
          .where('status', 'in', ['pending', 'enrolled'])
          .returning('id')
          .executeTakeFirst();
        if (changed === undefined) return 'unchanged';
        if (closesGrants) await closeGrantsOfNode(tx, { nodeId, atSeconds });
        await insertAuditEvent(tx, { atSeconds, kind: event, subject: nodeId, detail: { reason } });
        return 'changed';
      });
    },

    async moveNode({ nodeId, channel, atSeconds, reason }) {
      return database.transaction().execute(async (tx) => {
        const before = await tx
          .selectFrom('nodes')
          .select('channel')
          .where('id', '=', nodeId)
          .where('status', 'in', ['pending', 'enrolled'])
          .where('channel', '!=', channel)
          .executeTakeFirst();
        if (before === undefined) return 'unchanged';
        await tx
          .updateTable('nodes')
          .set({ channel, floor_record: null, floor_expected: 0, floor_missed: 0 })
          .where('id', '=', nodeId)
          .execute();
        await closeGrantsOfNode(tx, { nodeId, atSeconds });
        const detail = { from: before.channel, to: channel, reason };
        await insertAuditEvent(tx, { atSeconds, kind: 'node-moved', subject: nodeId, detail });
        return 'changed';
      });
    },

    async forgetCounters({ nodeId, atSeconds, reason = '' }) {
      await database.transaction().execute(async (tx) => {
        await tx
          .updateTable('nodes')
          .set({ reset_count: null, restart_count: null, clock: null, firmware_version: null })
          .where('id', '=', nodeId)
          .execute();
        const kind = 'node-hold-lifted';
        await insertAuditEvent(tx, { atSeconds, kind, subject: nodeId, detail: { reason } });
      });
    },
  };
}
