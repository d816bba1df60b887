import type { AttestationStore, ChallengeFault } from '../attestation/attestation-store.ts';
import type { Database, DatabaseTransaction } from './database.ts';

export function createSqlChallengeQueries(
  database: Database,
): Pick<AttestationStore, 'saveChallenge' | 'countOpenChallenges' | 'findChallenge'> {
  return {
    async saveChallenge(challenge) {
      await database
        .insertInto('challenges')
        .values({
          sha256: challenge.sha256,
          ak_name: challenge.akName,
          purpose: challenge.purpose,
          enrolment_id: challenge.enrolmentId ?? null,
          issued_at: challenge.issuedAtSeconds,
          expires_at: challenge.expiresAtSeconds,
          consumed_at: null,
        })
        .execute();
    },

    async countOpenChallenges({ akName, purpose, nowSeconds }) {
      const { open } = await database
        .selectFrom('challenges')
        .select((query) => query.fn.countAll<number>().as('open'))
        .where('ak_name', '=', akName)
        .where('purpose', '=', purpose)
        .where('expires_at', '>', nowSeconds)
        .where('consumed_at', 'is', null)
        .executeTakeFirstOrThrow();
      return open;
    },

    async findChallenge(sha256) {
      const row = await database
        .selectFrom('challenges')
        .selectAll()
        .where('sha256', '=', sha256)
        .executeTakeFirst();
      return (
        row && {
          sha256: row.sha256,
          akName: row.ak_name,
          purpose: row.purpose,
          ...(row.enrolment_id !== null && { enrolmentId: row.enrolment_id }),
          issuedAtSeconds: row.issued_at,
          expiresAtSeconds: row.expires_at,
          consumed: row.consumed_at !== null,
        }
      );
    },
  };
}

/** The one place where a challenge is used up: one conditional write decides who was first. */
export async function consumeChallenge(
  tx: DatabaseTransaction,
  sha256: string,
  nowSeconds: number,
): Promise<ChallengeFault | undefined> {
  const consumed = await tx
    .updateTable('challenges')
    .set({ consumed_at: nowSeconds })
    .where('sha256', '=', sha256)
    .where('consumed_at', 'is', null)
    .where('expires_at', '>', nowSeconds)
    .returning('sha256')
    .executeTakeFirst();
  if (consumed !== undefined) return undefined;
  const row = await tx
    .selectFrom('challenges')
    .select('consumed_at')
    .where('sha256', '=', sha256)
    .executeTakeFirst();
  if (row === undefined) return 'challenge-unknown';
  return row.consumed_at === null ? 'challenge-expired' : 'nonce-consumed';
}
