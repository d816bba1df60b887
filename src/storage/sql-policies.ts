import type { Selectable } from 'kysely';
import type { PolicyStore, StoredPolicy } from '../attestation/policy/policy-store.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { fromJsonColumn, toJsonColumn } from './rows.ts';
import type { Schema } from './schema.ts';
import { createSqlFirmwareQueries } from './sql-firmware.ts';

/** {@link PolicyStore} on SQL: which version is in force, and for which channels, is one row each. */
export function createSqlPolicyStore(database: Database): PolicyStore {
  return {
    ...createSqlFirmwareQueries(database),

    async findPolicyOfChannel(channel) {
      const row = await database
        .selectFrom('policies')
        .innerJoin('policy_channels', 'policy_channels.policy_name', 'policies.name')
        .selectAll('policies')
        .where('policy_channels.channel', '=', channel)
        .where('policies.in_force', '=', 1)
        .executeTakeFirst();
      return row && toPolicy(row);
    },

    async listPolicies() {
      const rows = await database
        .selectFrom('policies')
        .selectAll()
        .where('in_force', '=', 1)
        .orderBy('name')
        .execute();
      return rows.map(toPolicy);
    },

    async listPolicyVersions(name) {
      const rows = await database
        .selectFrom('policies')
        .selectAll()
        .where('name', '=', name)
        .orderBy('version', 'desc')
        .execute();
      return rows.map((row) => ({ ...toPolicy(row), inForce: row.in_force === 1 }));
    },

    async applyPolicy(policy) {
      return database.transaction().execute((tx) => applyPolicy(tx, policy));
    },

    async withdrawPolicy({ name, atSeconds, reason = '' }) {
      return database.transaction().execute(async (tx) => {
        const { numUpdatedRows } = await endForce(tx, name);
        if (numUpdatedRows === 0n) return 'unknown';
        await insertAuditEvent(tx, {
          atSeconds,
          kind: 'policy-withdrawn',
          subject: name,
          detail: { reason },
        });
        return 'withdrawn';
      });
    },
  };
}

async function applyPolicy(
  tx: DatabaseTransaction,
  policy: StoredPolicy,
): ReturnType<PolicyStore['applyPolicy']> {
  const newest = await tx
    .selectFrom('policies')
    .selectAll()
    .where('name', '=', policy.name)
    .orderBy('version', 'desc')
    .executeTakeFirst();
  if (newest?.in_force === 1 && newest.version === policy.version && newest.document === policy.document)
    return 'unchanged';
  if (newest !== undefined && policy.version <= newest.version) return 'version-not-higher';
  const taken = await tx
    .selectFrom('policy_channels')
    .select('channel')
    .where('channel', 'in', policy.channels)
    .where('policy_name', '!=', policy.name)
    .executeTakeFirst();
  if (taken !== undefined) return 'channel-taken';
  await endForce(tx, policy.name);
  await putInForce(tx, policy);
  return 'applied';
}

async function endForce(tx: DatabaseTransaction, name: string) {
  await tx.deleteFrom('policy_channels').where('policy_name', '=', name).execute();
  return tx
    .updateTable('policies')
    .set({ in_force: 0 })
    .where('name', '=', name)
    .where('in_force', '=', 1)
    .executeTakeFirst();
}

async function putInForce(tx: DatabaseTransaction, policy: StoredPolicy): Promise<void> {
  const { name, version, channels, document, appliedAtSeconds } = policy;
  await tx
    .insertInto('policies')
    .values({
      name,
      version,
      channels: toJsonColumn(channels),
      document,
      applied_at: appliedAtSeconds,
      in_force: 1,
    })
    .execute();
  await tx
    .insertInto('policy_channels')
    .values(channels.map((channel) => ({ channel, policy_name: name })))
    .execute();
  await insertAuditEvent(tx, {
    atSeconds: appliedAtSeconds,
    kind: 'policy-applied',
    subject: name,
    detail: { version: String(version), channels: channels.join(' ') },
  });
}

function toPolicy(row: Selectable<Schema['policies']>): StoredPolicy {
  const channels = fromJsonColumn(row.channels);
  return {
    name: row.name,
    version: row.version,
    channels: Array.isArray(channels) ? channels.map(String) : [],
    document: row.document,
    appliedAtSeconds: row.applied_at,
  };
}
