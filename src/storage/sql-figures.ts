import type { NodeFigures } from '../attestation/node-figures.ts';
import type { Database } from './database.ts';

/** {@link NodeFigures} on SQL: from `nodes_by_status` and `challenges_by_expiry` alone, or nearly. */
export function createSqlNodeFigures(database: Database): NodeFigures {
  return {
    countNodes: () =>
      database
        .selectFrom('nodes')
        .select((query) => ['status', query.fn.countAll<number>().as('count')])
        .groupBy('status')
        .execute(),

    async countSuspects() {
      const { suspects } = await database
        .selectFrom('nodes')
        .select((query) => query.fn.countAll<number>().as('suspects'))
        .where('status', '=', 'enrolled')
        .where('suspect_since', 'is not', null)
        .executeTakeFirstOrThrow();
      return suspects;
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
