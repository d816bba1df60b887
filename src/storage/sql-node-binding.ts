import type { Activation } from '../attestation/attestation-store.ts';
import type { EndorsementKey, NodeRecord, TpmCounters } from '../attestation/node.ts';
import type { DatabaseTransaction } from './database.ts';
import { countersToColumns, endorsementKeyToColumns, hasCounters, toJsonColumn } from './rows.ts';

/** False when the AK or an EK belongs to another node, or the node changed its AK or standing. */
export async function bindNode(
  tx: DatabaseTransaction,
  { node, countersBefore, endorsementKeys }: Activation,
): Promise<boolean> {
  const inserted = await tx
    .insertInto('nodes')
    .values({ ...nodeToColumns(node), created_at: node.createdAtSeconds })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  if (inserted === undefined && !(await refreshNode(tx, node, countersBefore))) return false;
  for (const key of endorsementKeys) {
    await saveEndorsementKey(tx, node.id, key);
    const owner = await tx
      .selectFrom('endorsement_keys')
      .select('node_id')
      .where('fingerprint', '=', key.fingerprint)
      .executeTakeFirst();
    if (owner?.node_id !== node.id) return false;
  }
  return true;
}

/** A certificate that comes later is added to its key; one that is left out later is kept. */
async function saveEndorsementKey(
  tx: DatabaseTransaction,
  nodeId: string,
  key: EndorsementKey,
): Promise<void> {
  const columns = endorsementKeyToColumns(key);
  await tx
    .insertInto('endorsement_keys')
    .values({ node_id: nodeId, ...columns })
    .onConflict((conflict) =>
      key.identity === 'certified'
        ? conflict.column('fingerprint').doUpdateSet(columns).where('endorsement_keys.node_id', '=', nodeId)
        : conflict.doNothing(),
    )
    .execute();
}

/** The same node enrolling again: same id, same AK, and still waiting or enrolled as it was read. */
async function refreshNode(
  tx: DatabaseTransaction,
  node: NodeRecord,
  countersBefore: TpmCounters | undefined,
): Promise<boolean> {
  const updated = await tx
    .updateTable('nodes')
    .set({
      ...countersToColumns(node.counters),
      status: node.status,
      admission: node.admission,
      channel: node.channel,
      identity: node.identity,
      state: node.state ?? null,
      untrusted_hints: toJsonColumn(node.untrustedHints),
      last_verdict_at: node.lastVerdictAtSeconds ?? null,
    })
    .where('id', '=', node.id)
    .where('ak_name', '=', node.akName)
    .where((where) => where.or([where('status', '=', 'pending'), where('status', '=', node.status)]))
    .where('status', 'in', ['pending', 'enrolled'])
    .where(hasCounters(countersBefore))
    .returning('id')
    .executeTakeFirst();
  return updated !== undefined;
}

function nodeToColumns(node: NodeRecord) {
  return {
    id: node.id,
    channel: node.channel,
    status: node.status,
    identity: node.identity,
    admission: node.admission,
    state: node.state ?? null,
    ak_public: node.akPublic,
    ak_name: node.akName,
    untrusted_hints: toJsonColumn(node.untrustedHints),
    reset_count: null,
    restart_count: null,
    clock: null,
    firmware_version: null,
    ...countersToColumns(node.counters),
    last_verdict_at: node.lastVerdictAtSeconds ?? null,
  };
}
