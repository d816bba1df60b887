import type { Selectable } from 'kysely';
import type { EnrolmentToken, EnrolmentTokenStore } from '../attestation/enrolment-tokens.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import type { Schema } from './schema.ts';

export function createSqlTokenStore(database: Database): EnrolmentTokenStore {
  return {
    async createToken(token) {
      await database.transaction().execute(async (tx) => {
        await tx
          .insertInto('enrolment_tokens')
          .values({
            sha256: token.sha256,
            channel: token.channel,
            comment: token.comment,
            created_at: token.createdAtSeconds,
            expires_at: token.expiresAtSeconds,
            used_by: null,
          })
          .execute();
        await insertAuditEvent(tx, {
          atSeconds: token.createdAtSeconds,
          kind: 'token-created',
          subject: token.sha256,
          detail: { channel: token.channel, comment: token.comment },
        });
      });
    },

    async findUnusedToken(sha256) {
      const row = await database
        .selectFrom('enrolment_tokens')
        .selectAll()
        .where('sha256', '=', sha256)
        .where('used_by', 'is', null)
        .executeTakeFirst();
      return row && toToken(row);
    },

    async listTokens() {
      const rows = await database
        .selectFrom('enrolment_tokens')
        .selectAll()
        .orderBy('created_at')
        .orderBy('sha256')
        .execute();
      return rows.map(toToken);
    },

    async withdrawToken({ sha256Prefix, atSeconds }) {
      return database.transaction().execute(async (tx) => {
        const withdrawn = await tx
          .deleteFrom('enrolment_tokens')
          .where('sha256', 'like', `${sha256Prefix}%`)
          .where('used_by', 'is', null)
          .returning('sha256')
          .execute();
        for (const { sha256 } of withdrawn)
          await insertAuditEvent(tx, { atSeconds, kind: 'token-withdrawn', subject: sha256 });
        return withdrawn.length > 0 ? 'withdrawn' : 'unknown';
      });
    },
  };
}

/** Of all that come with one token, one spends it. */
export async function spendToken(
  tx: DatabaseTransaction,
  { sha256, nodeId, atSeconds }: { sha256: string; nodeId: string; atSeconds: number },
): Promise<boolean> {
  const spent = await tx
    .updateTable('enrolment_tokens')
    .set({ used_by: nodeId })
    .where('sha256', '=', sha256)
    .where('used_by', 'is', null)
    .where('expires_at', '>', atSeconds)
    .returning('sha256')
    .executeTakeFirst();
  if (spent === undefined) return false;
  await insertAuditEvent(tx, { atSeconds, kind: 'token-used', subject: sha256, detail: { node: nodeId } });
  return true;
}

function toToken(row: Selectable<Schema['enrolment_tokens']>): EnrolmentToken {
  return {
    sha256: row.sha256,
    channel: row.channel,
    comment: row.comment,
    createdAtSeconds: row.created_at,
    expiresAtSeconds: row.expires_at,
    ...(row.used_by !== null && { usedBy: row.used_by }),
  };
}
