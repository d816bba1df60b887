import type { AttestationStore } from '../attestation/attestation-store.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { countersToColumns, hasCounters, sessionToColumns } from './rows.ts';
import { consumeChallenge, createSqlChallengeQueries } from './sql-challenges.ts';
import { concludeEnrolment, createSqlEnrolmentQueries, purgeEnrolments } from './sql-enrolments.ts';
import { isApproved, saveBaseline } from './sql-firmware.ts';
import { endFloorReset, recordFloor, reportFloorAhead } from './sql-floors.ts';
import { createSqlGrantQueries, replaceGrant } from './sql-grants.ts';
import { createSqlListedEkQueries } from './sql-listed-eks.ts';
import { bindNode } from './sql-node-binding.ts';
import { createSqlNodeMarks } from './sql-node-marks.ts';
import { createSqlNodeQueries } from './sql-nodes.ts';
import { clearSuspicion, suspectJudged } from './sql-running-nodes.ts';
import { spendToken } from './sql-tokens.ts';
import { createSqlVerdictQueries, insertVerdict, purgeAnonymousVerdicts } from './sql-verdicts.ts';

/** {@link AttestationStore} on SQL; what may happen once is one conditional UPDATE … RETURNING. */
export function createSqlAttestationStore(database: Database): AttestationStore {
  return {
    ...createSqlNodeQueries(database),
    ...createSqlNodeMarks(database),
    ...createSqlListedEkQueries(database),
    ...createSqlVerdictQueries(database),
    ...createSqlChallengeQueries(database),
    ...createSqlEnrolmentQueries(database),
    ...createSqlGrantQueries(database),

    async commitActivation(activation) {
      return decide(database, async (tx) => {
        const fault = await consumeChallenge(tx, activation.challengeSha256, activation.verdict.atSeconds);
        if (fault !== undefined) return fault;
        if (!(await bindNode(tx, activation))) return 'conflict';
        const { atSeconds } = activation.verdict;
        const spent = { sha256: activation.tokenSha256 ?? '', nodeId: activation.node.id, atSeconds };
        if (activation.tokenSha256 !== undefined && !(await spendToken(tx, spent))) return 'token-spent';
        await insertVerdict(tx, activation.verdict);
        await concludeEnrolment(tx, { enrolmentId: activation.enrolmentId, nodeId: activation.node.id });
        return 'committed';
      });
    },

    async commitVerdict(commit) {
      return decide(database, async (tx) => {
        const spent = await consumeChallenge(tx, commit.challengeSha256, commit.verdict.atSeconds);
        if (spent !== undefined) return spent;
        await insertVerdict(tx, commit.verdict);
        const { nodeId, akName, purpose, atSeconds } = commit.verdict;
        if (nodeId === undefined) return 'committed';
        if (commit.verdict.verdict !== 'accept') {
          await reportFloorAhead(tx, commit.verdict);
          if (commit.suspect !== undefined) await suspectJudged(tx, { ...commit.suspect, nodeId, akName });
          return 'committed';
        }
        const fault = await advanceNode(tx, { ...commit, nodeId });
        if (fault !== undefined) return fault;
        const approval = commit.basis?.firmwareApproval;
        if (approval !== undefined && !(await isApproved(tx, approval))) return 'basis-moved';
        await clearSuspicion(tx, nodeId, atSeconds);
        if (commit.floor !== undefined) await recordFloor(tx, { nodeId, purpose, floor: commit.floor });
        if (purpose === 'boot') await endFloorReset(tx, nodeId);
        if (commit.baseline !== undefined) await saveBaseline(tx, nodeId, commit.baseline);
        if (commit.grant !== undefined) await replaceGrant(tx, commit.grant);
        return 'committed';
      });
    },

    async recordRefusal(verdict) {
      await database.transaction().execute((tx) => insertVerdict(tx, verdict));
    },

    async purgeExpired(beforeSeconds) {
      await database.transaction().execute(async (tx) => {
        await tx.deleteFrom('challenges').where('expires_at', '<', beforeSeconds).execute();
        await purgeEnrolments(tx, beforeSeconds);
        await purgeAnonymousVerdicts(tx);
        await tx.deleteFrom('grants').where('expires_at', '<', beforeSeconds).execute();
      });
    },
  };
}

/** A decision other than `committed` takes back what the transaction did until then. */
async function decide<Outcome extends string>(
  database: Database,
  work: (tx: DatabaseTransaction) => Promise<Outcome | 'committed'>,
): Promise<Outcome | 'committed'> {
  const tx = await database.startTransaction().execute();
  try {
    const outcome = await work(tx);
    await (outcome === 'committed' ? tx.commit() : tx.rollback()).execute();
    return outcome;
  } catch (cause) {
    await tx.rollback().execute();
    throw cause;
  }
}

/**
 * Of two pieces of evidence that were judged on the same counters, one is accepted on them; and only while the node is
 * what it was judged as.
 */
async function advanceNode(
  tx: DatabaseTransaction,
  {
    nodeId,
    verdict,
    counters,
    basis,
    session,
  }: Parameters<AttestationStore['commitVerdict']>[0] & { nodeId: string },
): Promise<'node-not-enrolled' | 'basis-moved' | undefined> {
  const updated = await tx
    .updateTable('nodes')
    .set({
      ...countersToColumns(counters?.now),
      ...(verdict.facts && { state: verdict.facts.state }),
      ...(session && sessionToColumns(session)),
      last_verdict_at: verdict.atSeconds,
    })
    .where('id', '=', nodeId)
    .where('status', '=', 'enrolled')
    .where('ak_name', '=', verdict.akName)
    .where('ak_rotation_due', '=', 0)
    .$if(counters !== undefined, (query) => query.where(hasCounters(counters?.before)))
    .$if(basis !== undefined, (query) =>
      query
        .where('channel', '=', basis?.channel ?? '')
        .where('rom_asserted', '=', basis?.romAsserted ? 1 : 0),
    )
    .returning('id')
    .executeTakeFirst();
  if (updated !== undefined) return undefined;
  const node = await tx
    .selectFrom('nodes')
    .select(['status', 'ak_name', 'ak_rotation_due'])
    .where('id', '=', nodeId)
    .executeTakeFirst();
  const mayAttest =
    node?.status === 'enrolled' && node.ak_name === verdict.akName && node.ak_rotation_due === 0;
  return mayAttest ? 'basis-moved' : 'node-not-enrolled';
}
