import type { KnownFloor, VerdictRecord } from '../attestation/attestation-store.ts';
import { encodeFloorRecord } from '../attestation/floor/floor-record.ts';
import type { Purpose } from '../attestation/quote/purpose.ts';
import { insertNodeEvent } from './audit-events.ts';
import type { DatabaseTransaction } from './database.ts';

/**
 * Part of the transaction that accepts the evidence which showed it. What ran when an operator reset the floor shows the
 * old one for as long as it runs: from a reset on, a boot is the first to count.
 */
export async function recordFloor(
  tx: DatabaseTransaction,
  { nodeId, purpose, floor }: { nodeId: string; purpose: Purpose; floor: KnownFloor },
): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({
      floor_expected: 1,
      ...(typeof floor === 'object' && { floor_record: encodeFloorRecord(floor.shown), floor_missed: 0 }),
    })
    .where('id', '=', nodeId)
    .$if(purpose !== 'boot', (query) => query.where('floor_reset', '=', 0))
    .execute();
}

/** Part of the transaction in which a node closes its grant: it has its release, and writes its floor next. */
export async function countFloorDue(tx: DatabaseTransaction, nodeId: string): Promise<void> {
  await tx
    .updateTable('nodes')
    .set((node) => ({ floor_missed: node('floor_missed', '+', 1) }))
    .where('id', '=', nodeId)
    .where('floor_expected', '=', 1)
    .where('floor_record', 'is', null)
    .execute();
}

/** Part of the transaction that accepts a boot: whatever it showed or did not, a reset was for this one. */
export async function endFloorReset(tx: DatabaseTransaction, nodeId: string): Promise<void> {
  await tx
    .updateTable('nodes')
    .set({ floor_reset: 0 })
    .where('id', '=', nodeId)
    .where('floor_reset', '=', 1)
    .execute();
}

const AHEAD_KIND = 'floor-ahead';
const AHEAD_EVERY_SECONDS = 24 * 3600;

/** A server that was set back: its nodes ask again and again, the operator hears of each of them once a day. */
export async function reportFloorAhead(tx: DatabaseTransaction, verdict: VerdictRecord): Promise<void> {
  const ahead = verdict.reasons.find(({ code }) => code === AHEAD_KIND);
  if (ahead === undefined || verdict.nodeId === undefined) return;
  await insertNodeEvent(tx, {
    atSeconds: verdict.atSeconds,
    kind: AHEAD_KIND,
    subject: verdict.nodeId,
    detail: { why: ahead.message },
    quietSeconds: AHEAD_EVERY_SECONDS,
  });
}
