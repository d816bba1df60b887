import type { Selectable } from 'kysely';
import type { Baseline, FirmwareApproval } from '../attestation/policy/baseline.ts';
import type { PolicyStore } from '../attestation/policy/policy-store.ts';
import { isJsonObject } from '../core/strict-json.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { StorageError } from './errors.ts';
import { fromJsonColumn, toJsonColumn } from './rows.ts';
import type { Schema } from './schema.ts';

type FirmwareQueries = Pick<
  PolicyStore,
  'findBaseline' | 'forgetBaseline' | 'listFirmwareApprovals' | 'approveFirmware' | 'withdrawFirmwareApproval'
>;

export function createSqlFirmwareQueries(database: Database): FirmwareQueries {
  return {
    async findBaseline(nodeId) {
      const row = await database
        .selectFrom('baselines')
        .selectAll()
        .where('node_id', '=', nodeId)
        .executeTakeFirst();
      return (
        row && {
          pcrs: toPcrs(row.pcrs),
          ...(row.event_log !== null && { eventLog: row.event_log }),
          approvedBy: row.approved_by,
          approvedAtSeconds: row.approved_at,
        }
      );
    },

    async forgetBaseline({ nodeId, atSeconds, reason = '' }) {
      await database.transaction().execute(async (tx) => {
        await tx.deleteFrom('baselines').where('node_id', '=', nodeId).execute();
        const kind = 'node-baseline-forgotten';
        await insertAuditEvent(tx, { atSeconds, kind, subject: nodeId, detail: { reason } });
      });
    },

    async listFirmwareApprovals() {
      const rows = await database.selectFrom('firmware_approvals').selectAll().orderBy('id').execute();
      return rows.map(toApproval);
    },

    async approveFirmware(approval) {
      return database.transaction().execute(async (tx) => {
        const row = await tx
          .insertInto('firmware_approvals')
          .values(approvalToColumns(approval))
          .returningAll()
          .executeTakeFirstOrThrow();
        await insertAuditEvent(tx, {
          atSeconds: approval.approvedAtSeconds,
          kind: 'firmware-approved',
          subject: String(row.id),
          detail: {
            name: approval.name,
            for: [approval.scope.kind, row.scope_value ?? ''].join(' ').trim(),
            verdict: String(approval.verdictId),
            reason: approval.reason,
          },
        });
        return toApproval(row);
      });
    },

    async withdrawFirmwareApproval({ id, atSeconds, reason = '' }) {
      return database.transaction().execute(async (tx) => {
        const row = await tx
          .deleteFrom('firmware_approvals')
          .where('id', '=', id)
          .returning('name')
          .executeTakeFirst();
        if (row === undefined) return 'unknown';
        const detail = { name: row.name, reason };
        await insertAuditEvent(tx, { atSeconds, kind: 'firmware-withdrawn', subject: String(id), detail });
        return 'withdrawn';
      });
    },
  };
}

/** Until the transaction ends, as it holds the write lock: nobody withdraws the approval meanwhile. */
export async function isApproved(tx: DatabaseTransaction, approvalId: number): Promise<boolean> {
  const row = await tx
    .selectFrom('firmware_approvals')
    .select('id')
    .where('id', '=', approvalId)
    .executeTakeFirst();
  return row !== undefined;
}

/** Part of the transaction that accepts the boot it is of. */
export async function saveBaseline(
  tx: DatabaseTransaction,
  nodeId: string,
  { pcrs, eventLog, approvedBy, approvedAtSeconds }: Baseline,
): Promise<void> {
  const columns = {
    pcrs: toJsonColumn(pcrs),
    event_log: eventLog ?? null,
    approved_by: approvedBy,
    approved_at: approvedAtSeconds,
  };
  await tx
    .insertInto('baselines')
    .values({ node_id: nodeId, ...columns })
    .onConflict((conflict) => conflict.column('node_id').doUpdateSet(columns))
    .execute();
  await insertAuditEvent(tx, {
    atSeconds: approvedAtSeconds,
    kind: 'node-baseline',
    subject: nodeId,
    detail: { approvedBy },
  });
}

function approvalToColumns({ scope, ...approval }: Omit<FirmwareApproval, 'id'>) {
  const value = scope.kind === 'node' ? scope.nodeId : scope.kind === 'channel' ? scope.channel : null;
  return {
    name: approval.name,
    scope_kind: scope.kind,
    scope_value: value,
    pcrs: toJsonColumn(approval.pcrs),
    verdict_id: approval.verdictId,
    approved_at: approval.approvedAtSeconds,
    reason: approval.reason,
  };
}

function toApproval(row: Selectable<Schema['firmware_approvals']>): FirmwareApproval {
  return {
    id: row.id,
    name: row.name,
    scope: toScope(row),
    pcrs: toPcrs(row.pcrs),
    verdictId: row.verdict_id,
    approvedAtSeconds: row.approved_at,
    reason: row.reason,
  };
}

function toScope(row: Selectable<Schema['firmware_approvals']>): FirmwareApproval['scope'] {
  switch (row.scope_kind) {
    case 'node':
      return { kind: 'node', nodeId: row.scope_value ?? '' };
    case 'channel':
      return { kind: 'channel', channel: row.scope_value ?? '' };
    case 'all':
      return { kind: 'all' };
  }
}

function toPcrs(column: string): Record<number, string> {
  const value = fromJsonColumn(column);
  if (!isJsonObject(value)) throw new StorageError('record-corrupt', 'PCR values are not an object');
  return Object.fromEntries(Object.entries(value).map(([pcr, digest]) => [Number(pcr), String(digest)]));
}
