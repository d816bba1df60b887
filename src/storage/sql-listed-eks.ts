import type { AttestationStore, ListedEk } from '../attestation/attestation-store.ts';
import type { Database, DatabaseTransaction } from './database.ts';

/** The admission list. */
export function createSqlListedEkQueries(
  database: Database,
): Pick<AttestationStore, 'findListedEk' | 'importListedEks' | 'listListedEks'> {
  return {
    async findListedEk(fingerprint) {
      return database
        .selectFrom('listed_eks')
        .select('channel')
        .where('fingerprint', '=', fingerprint)
        .executeTakeFirst();
    },

    async importListedEks(entries, { replace }) {
      return database.transaction().execute(async (tx) => {
        const count = { added: 0, known: 0, moved: 0, elsewhere: 0 };
        for (const entry of entries) count[await importEk(tx, entry, replace ? 'moved' : 'elsewhere')] += 1;
        return count;
      });
    },

    async listListedEks() {
      const rows = await database.selectFrom('listed_eks').selectAll().orderBy('fingerprint').execute();
      return rows.map((row) => ({
        fingerprint: row.fingerprint,
        channel: row.channel,
        comment: row.comment,
        importedAtSeconds: row.imported_at,
      }));
    },
  };
}

/** @param inOtherChannel what happens to one that is listed for another channel */
async function importEk(
  tx: DatabaseTransaction,
  entry: ListedEk,
  inOtherChannel: 'moved' | 'elsewhere',
): Promise<'added' | 'known' | 'moved' | 'elsewhere'> {
  const { fingerprint, channel, comment, importedAtSeconds } = entry;
  const listed = await tx
    .selectFrom('listed_eks')
    .select('channel')
    .where('fingerprint', '=', fingerprint)
    .executeTakeFirst();
  const columns = { channel, comment, imported_at: importedAtSeconds };
  if (listed === undefined) {
    await tx
      .insertInto('listed_eks')
      .values({ fingerprint, ...columns })
      .execute();
    return 'added';
  }
  if (listed.channel === channel) return 'known';
  if (inOtherChannel === 'moved')
    await tx.updateTable('listed_eks').set(columns).where('fingerprint', '=', fingerprint).execute();
  return inOtherChannel;
}
