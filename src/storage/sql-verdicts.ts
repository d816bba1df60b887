import type { Selectable } from 'kysely';
import type { AttestationStore, StoredVerdict, VerdictRecord } from '../attestation/attestation-store.ts';
import type { Facts } from '../attestation/node.ts';
import type { Purpose } from '../attestation/quote/purpose.ts';
import { isJsonObject } from '../core/strict-json.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { StorageError } from './errors.ts';
import { fromJsonColumn, toFindings, toJsonColumn } from './rows.ts';
import type { Schema } from './schema.ts';

export function createSqlVerdictQueries(
  database: Database,
): Pick<AttestationStore, 'listVerdicts' | 'findVerdict'> {
  return {
    async listVerdicts({ nodeId, limit }) {
      const rows = await database
        .selectFrom('verdicts')
        .selectAll()
        .$if(nodeId !== undefined, (query) => query.where('node_id', '=', nodeId as string))
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(toVerdict);
    },

    async findVerdict(id) {
      const row = await database.selectFrom('verdicts').selectAll().where('id', '=', id).executeTakeFirst();
      return row && toVerdict(row);
    },
  };
}

const VERDICTS_KEPT_PER_NODE = 500;
/**
 * Evidence is some 30 KiB, half a MiB from somebody who means harm; the latest of it is what anyone looks at.
 * A stranger with keys in software may enrol and wait, so of enrolments there is only one.
 */
const EVIDENCE_KEPT: Readonly<Record<Purpose, number>> = { enrol: 1, boot: 20, health: 20, reattest: 20 };
/** Refusals of strangers, who leave no node behind. */
const ANONYMOUS_VERDICTS_KEPT = 10_000;

/** A node that is refused for ever fills no disk: what is older than its latest verdicts is let go. */
export async function insertVerdict(tx: DatabaseTransaction, verdict: VerdictRecord): Promise<void> {
  await tx.insertInto('verdicts').values(verdictToColumns(verdict)).execute();
  const { nodeId, purpose } = verdict;
  if (nodeId === undefined) return;
  await tx
    .deleteFrom('verdicts')
    .where('node_id', '=', nodeId)
    .where('id', '<=', newestBeyond(tx, VERDICTS_KEPT_PER_NODE, nodeId))
    .execute();
  const evidenceBeyond = newestBeyond(tx, EVIDENCE_KEPT[purpose], nodeId)
    .where('purpose', '=', purpose)
    .where('evidence_document', 'is not', null);
  await tx
    .updateTable('verdicts')
    .set({ evidence_document: null })
    .where('node_id', '=', nodeId)
    .where('purpose', '=', purpose)
    .where('id', '<=', evidenceBeyond)
    .execute();
}

export async function purgeAnonymousVerdicts(tx: DatabaseTransaction): Promise<void> {
  await tx
    .deleteFrom('verdicts')
    .where('node_id', 'is', null)
    .where('id', '<=', newestBeyond(tx, ANONYMOUS_VERDICTS_KEPT, null))
    .execute();
}

/** The newest verdict beyond the newest `kept` of a node (null: of strangers); none while they are fewer. */
function newestBeyond(tx: DatabaseTransaction, kept: number, nodeId: string | null) {
  return tx
    .selectFrom('verdicts')
    .select('id')
    .where('node_id', nodeId === null ? 'is' : '=', nodeId)
    .orderBy('id', 'desc')
    .limit(1)
    .offset(kept);
}

function verdictToColumns(verdict: VerdictRecord) {
  return {
    node_id: verdict.nodeId ?? null,
    ak_name: verdict.akName,
    purpose: verdict.purpose,
    verdict: verdict.verdict,
    reasons: toJsonColumn(verdict.reasons),
    notes: toJsonColumn(verdict.notes),
    facts: verdict.facts === undefined ? null : toJsonColumn(verdict.facts),
    release_digest: verdict.releaseDigest ?? null,
    evidence_document: verdict.evidenceDocument ?? null,
    at: verdict.atSeconds,
  };
}

function toVerdict(row: Selectable<Schema['verdicts']>): StoredVerdict {
  return {
    id: row.id,
    ...(row.node_id !== null && { nodeId: row.node_id }),
    akName: row.ak_name,
    purpose: row.purpose,
    verdict: row.verdict,
    reasons: toFindings(row.reasons),
    notes: toFindings(row.notes),
    ...(row.facts !== null && { facts: toFacts(row.facts) }),
    ...(row.release_digest !== null && { releaseDigest: row.release_digest }),
    ...(row.evidence_document !== null && { evidenceDocument: row.evidence_document }),
    atSeconds: row.at,
  };
}

function toFacts(column: string): Facts {
  const value = fromJsonColumn(column);
  if (!isJsonObject(value)) throw new StorageError('record-corrupt', 'facts are not an object');
  const { identity, admission, state } = value;
  return { identity, admission, state } as Facts;
}
