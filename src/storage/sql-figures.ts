import { sql } from 'kysely';
import type { NodeFigures } from '../attestation/node-figures.ts';
import type { Database } from './database.ts';

/** {@link NodeFigures} on SQL: from `nodes_by_status` and `challenges_by_expiry` alone, or nearly. */
export function createSqlNodeFigures(database: Database): NodeFigures {
  return {
    async countNodes() {
      const rows = await database
        .selectFrom('nodes')
        .select((query) => [
          'status',
          sql<number>`suspect_since is not null`.as('suspect'),
          query.fn.countAll<number>().as('count'),
        ])
        .groupBy(['status', 'suspect'])
        .execute();
      return rows.map(({ status, suspect, count }) => ({ status, suspect: suspect === 1, count }));
    },

    async countOpenChallenges(nowSeconds) {
      const { open } = await database
        .selectFrom('challenges')
        .select((query) => query.fn.countAll<number>().as('open'))
        .where('expires_at', '>', nowSeconds)
        .where('consumed_at', 'is', null)
        .executeTakeFirstOrThrow();
      return open;
    },
  };
}
