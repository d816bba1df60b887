import type { Activation } from '../attestation/attestation-store.ts';
import type { EndorsementKey, NodeRecord } from '../attestation/node.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { DatabaseTransaction } from './database.ts';
import { countersToColumns, endorsementKeyToColumns, hasCounters, toJsonColumn } from './rows.ts';
import { closeGrantsOfNode } from './sql-grants.ts';

/** False when the AK or an EK belongs to another node, or the node changed its AK or standing. */
export async function bindNode(tx: DatabaseTransaction, activation: Activation): Promise<boolean> {
  const { node, endorsementKeys, verdict } = activation;
  if (await isTaken(tx, node)) return false;
  const inserted = await tx
    .insertInto('nodes')
    .values({ ...nodeToColumns(node), created_at: node.createdAtSeconds })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  const isNew = inserted !== undefined;
  if (!isNew && !(await refreshNode(tx, activation))) return false;
  for (const key of endorsementKeys) {
    const outcome = await saveEndorsementKey(tx, node.id, key);
    if (outcome === 'of-another') return false;
    if (outcome === 'added' && !isNew)
      await insertAuditEvent(tx, {
        atSeconds: verdict.atSeconds,
        kind: 'node-ek-added',
        subject: node.id,
        detail: { fingerprint: key.fingerprint, identity: key.identity },
      });
  }
  return true;
}

/** An AK is of one node, and one that was retired is of none for ever. */
async function isTaken(tx: DatabaseTransaction, node: NodeRecord): Promise<boolean> {
  const retired = await tx
    .selectFrom('retired_aks')
    .select('node_id')
    .where('ak_name', '=', node.akName)
    .executeTakeFirst();
  if (retired !== undefined) return true;
  const owner = await tx
    .selectFrom('nodes')
    .select('id')
    .where('ak_name', '=', node.akName)
    .where('id', '!=', node.id)
    .executeTakeFirst();
  return owner !== undefined;
}

/** A certificate that comes later is added to its key; one that is left out later is kept. */
async function saveEndorsementKey(
  tx: DatabaseTransaction,
  nodeId: string,
  key: EndorsementKey,
): Promise<'added' | 'known' | 'of-another'> {
  const columns = endorsementKeyToColumns(key);
  const owner = await tx
    .selectFrom('endorsement_keys')
    .select('node_id')
    .where('fingerprint', '=', key.fingerprint)
    .executeTakeFirst();
  if (owner !== undefined && owner.node_id !== nodeId) return 'of-another';
  if (owner === undefined)
    await tx
      .insertInto('endorsement_keys')
      .values({ node_id: nodeId, ...columns })
      .execute();
  else if (key.identity === 'certified')
    await tx
      .updateTable('endorsement_keys')
      .set(columns)
      .where('fingerprint', '=', key.fingerprint)
      .execute();
  return owner === undefined ? 'added' : 'known';
}

/** The same node enrolling again: as it was when it was judged, and still waiting or enrolled. */
async function refreshNode(tx: DatabaseTransaction, activation: Activation): Promise<boolean> {
  const { node, countersBefore, akNameBefore } = activation;
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
    .where('ak_name', '=', akNameBefore ?? node.akName)
    .where((where) => where.or([where('status', '=', 'pending'), where('status', '=', node.status)]))
    .where('status', 'in', ['pending', 'enrolled'])
    .where(hasCounters(countersBefore))
    .$if(akNameBefore === undefined, (query) => query.where('ak_rotation_due', '=', 0))
    .returning('id')
    .executeTakeFirst();
  if (updated === undefined) return false;
  return (
    akNameBefore === undefined ||
    replaceAk(tx, { node, akNameBefore, atSeconds: activation.verdict.atSeconds })
  );
}

/** Once for each time that an operator allowed it; what was granted on the old AK ends with it. */
async function replaceAk(
  tx: DatabaseTransaction,
  { node, akNameBefore, atSeconds }: { node: NodeRecord; akNameBefore: string; atSeconds: number },
): Promise<boolean> {
  const replaced = await tx
    .updateTable('nodes')
    .set({ ak_public: node.akPublic, ak_name: node.akName, ak_may_change: 0, ak_rotation_due: 0 })
    .where('id', '=', node.id)
    .where('ak_may_change', '=', 1)
    .returning('id')
    .executeTakeFirst();
  if (replaced === undefined) return false;
  await tx
    .insertInto('retired_aks')
    .values({ ak_name: akNameBefore, node_id: node.id, retired_at: atSeconds })
    .execute();
  await closeGrantsOfNode(tx, { nodeId: node.id, atSeconds });
  await insertAuditEvent(tx, {
    atSeconds,
    kind: 'node-ak-replaced',
    subject: node.id,
    detail: { before: akNameBefore, now: node.akName },
  });
  return true;
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
