import type { Selectable } from 'kysely';
import type { AttestationStore, StoredVerdict, VerdictRecord } from '../attestation/attestation-store.ts';
import type { Facts } from '../attestation/node.ts';
import { isJsonObject } from '../core/strict-json.ts';
import type { Database } from './database.ts';
import { StorageError } from './errors.ts';
import { fromJsonColumn, toJsonColumn } from './rows.ts';
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

export function verdictToColumns(verdict: VerdictRecord) {
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

function toFindings(column: string): VerdictRecord['reasons'] {
  const value = fromJsonColumn(column);
  if (!Array.isArray(value)) throw new StorageError('record-corrupt', 'findings are not a list');
  return value.map((finding) => {
    if (!isJsonObject(finding)) throw new StorageError('record-corrupt', 'a finding is not an object');
    return { code: String(finding.code), message: String(finding.message) };
  });
}

function toFacts(column: string): Facts {
  const value = fromJsonColumn(column);
  if (!isJsonObject(value)) throw new StorageError('record-corrupt', 'facts are not an object');
  const { identity, admission, state } = value;
  return { identity, admission, state } as Facts;
}
