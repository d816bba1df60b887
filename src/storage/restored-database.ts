import { insertAuditEvent } from './audit-events.ts';
import type { Database } from './database.ts';

/** What was single-use in a database that comes back: nobody knows whether it was used since. */
export interface Voided {
  readonly challenges: number;
  readonly enrolments: number;
  readonly tokens: number;
  readonly keyChanges: number;
  readonly grants: number;
}

/**
 * Takes the use out of everything that works once, in one transaction: a nonce that was consumed after the
 * backup would be good again, a token that admitted a machine would admit another. Grants are closed.
 */
export function voidSingleUse(database: Database, atSeconds: number): Promise<Voided> {
  return database.transaction().execute(async (tx) => {
    const challenges = await tx.deleteFrom('challenges').executeTakeFirst();
    await tx.deleteFrom('enrolment_credentials').execute();
    const enrolments = await tx.deleteFrom('enrolments').executeTakeFirst();
    const tokens = await tx.deleteFrom('enrolment_tokens').where('used_by', 'is', null).executeTakeFirst();
    const keyChanges = await tx
      .updateTable('nodes')
      .set({ ak_may_change: 0 })
      .where('ak_may_change', '!=', 0)
      .executeTakeFirst();
    const grants = await tx
      .updateTable('grants')
      .set({ closed_at: atSeconds })
      .where('closed_at', 'is', null)
      .executeTakeFirst();
    const voided = {
      challenges: Number(challenges.numDeletedRows),
      enrolments: Number(enrolments.numDeletedRows),
      tokens: Number(tokens.numDeletedRows),
      keyChanges: Number(keyChanges.numUpdatedRows),
      grants: Number(grants.numUpdatedRows),
    };
    const detail = Object.fromEntries(Object.entries(voided).map(([name, count]) => [name, String(count)]));
    await insertAuditEvent(tx, { atSeconds, kind: 'database-restored', subject: 'database', detail });
    return voided;
  });
}
