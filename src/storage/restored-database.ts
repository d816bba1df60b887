import { type ChannelState, changed, openRollout } from '../releases/channel.ts';
import { channelEvents } from '../releases/release-events.ts';
import { insertAuditEvent } from './audit-events.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { toJsonColumn } from './rows.ts';

/** What in a database that comes back holds no longer, or may not: nobody knows what became of it since. */
export interface Voided {
  // Works once.
  readonly challenges: number;
  readonly enrolments: number;
  readonly tokens: number;
  readonly keyChanges: number;
  readonly grants: number;
  // Was under way.
  readonly rollouts: number;
  readonly openBoots: number;
  readonly sessions: number;
}

export const RESTORED_REASON = 'restored from a backup: look before you resume';

/**
 * Takes the use out of everything that works once, in one transaction: a nonce that was consumed after the
 * backup would be good again, a token that admitted a machine would admit another. Grants are closed. What was under way has gone on without this
 * database: rollouts wait for an operator, open boots are booked against nobody, and running nodes hear that
 * they have no session instead of becoming suspect for having another one.
 */
export function voidWhatMovedOn(database: Database, atSeconds: number): Promise<Voided> {
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
    const rollouts = await pauseRollouts(tx, atSeconds);
    const openBoots = await closeOpenBoots(tx);
    const sessions = await endSessions(tx);
    const voided = {
      challenges: Number(challenges.numDeletedRows),
      enrolments: Number(enrolments.numDeletedRows),
      tokens: Number(tokens.numDeletedRows),
      keyChanges: Number(keyChanges.numUpdatedRows),
      grants: Number(grants.numUpdatedRows),
      rollouts,
      openBoots,
      sessions,
    };
    const detail = Object.fromEntries(Object.entries(voided).map(([name, count]) => [name, String(count)]));
    await insertAuditEvent(tx, { atSeconds, kind: 'database-restored', subject: 'database', detail });
    return voided;
  });
}

async function pauseRollouts(tx: DatabaseTransaction, atSeconds: number): Promise<number> {
  let count = 0;
  for (const { document } of await tx.selectFrom('channels').select('document').orderBy('name').execute()) {
    const before = JSON.parse(document) as ChannelState;
    const after = withRolloutPaused(before);
    if (after === undefined) continue;
    count += 1;
    await tx
      .updateTable('channels')
      .set({ revision: after.revision, document: toJsonColumn(after) })
      .where('name', '=', after.channel)
      .execute();
    for (const event of channelEvents(before, after)) await insertAuditEvent(tx, { atSeconds, ...event });
  }
  return count;
}

function withRolloutPaused(state: ChannelState): ChannelState | undefined {
  const rollout = openRollout(state);
  if (rollout === undefined || state.mode !== 'slots') return undefined;
  const was = rollout.reason === undefined ? '' : ` (was ${rollout.state}: ${rollout.reason})`;
  return changed({ ...state, rollout: { ...rollout, state: 'paused', reason: `${RESTORED_REASON}${was}` } });
}

/**
 * How they ended is not known: each is back to what the node had shown of the release before. One that had failed tries
 * is left, as is one whose last try had failed: nobody knows whether such a node has come back since, so none counts as lost.
 */
async function closeOpenBoots(tx: DatabaseTransaction): Promise<number> {
  const unknown = await tx
    .deleteFrom('node_releases')
    .where('outcome', '=', 'open')
    .where('failed_tries', '=', 0)
    .where('healthy_at', 'is', null)
    .executeTakeFirst();
  const healthy = await tx
    .updateTable('node_releases')
    .set({ outcome: 'healthy' })
    .where('outcome', '=', 'open')
    .where('failed_tries', '=', 0)
    .executeTakeFirst();
  const left = await tx
    .updateTable('node_releases')
    .set({ outcome: 'left' })
    .where('outcome', '=', 'open')
    .executeTakeFirst();
  await tx.updateTable('node_releases').set({ outcome: 'left' }).where('outcome', '=', 'failed').execute();
  return Number(unknown.numDeletedRows + healthy.numUpdatedRows + left.numUpdatedRows);
}

async function endSessions(tx: DatabaseTransaction): Promise<number> {
  const ended = await tx
    .updateTable('nodes')
    .set({
      session_release_digest: null,
      session_stage0_sha256: null,
      session_reset_count: null,
      session_restart_count: null,
      session_started_at: null,
      session_proven_at: null,
    })
    .where('session_release_digest', 'is not', null)
    .executeTakeFirst();
  return Number(ended.numUpdatedRows);
}
