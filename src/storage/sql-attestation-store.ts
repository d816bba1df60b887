import type { Transaction } from 'kysely';
import type {
  Activation,
  AttestationStore,
  ChallengeFault,
  EnrolmentRecord,
  GrantRecord,
  PendingCredential,
  VerdictRecord,
} from '../attestation/attestation-store.ts';
import type { EndorsementKey, NodeRecord } from '../attestation/node.ts';
import type { Database } from './database.ts';
import {
  countersToColumns,
  endorsementKeyToColumns,
  toEndorsementKey,
  toHints,
  toJsonColumn,
} from './rows.ts';
import type { Schema } from './schema.ts';
import { createSqlNodeQueries } from './sql-nodes.ts';
import { createSqlVerdictQueries, verdictToColumns } from './sql-verdicts.ts';

type Tx = Transaction<Schema>;

const EVIDENCE_KEPT_PER_NODE = 20;

/** {@link AttestationStore} on SQL; what may happen once is one conditional UPDATE … RETURNING. */
export function createSqlAttestationStore(database: Database): AttestationStore {
  const nodes = createSqlNodeQueries(database);
  return {
    ...nodes,
    ...createSqlVerdictQueries(database),

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

    async saveEnrolment(enrolment) {
      await database.transaction().execute((tx) => insertEnrolment(tx, enrolment));
    },

    async countOpenEnrolments(nowSeconds) {
      const { open } = await database
        .selectFrom('enrolments')
        .select((query) => query.fn.countAll<number>().as('open'))
        .where('expires_at', '>', nowSeconds)
        .where('node_id', 'is', null)
        .executeTakeFirstOrThrow();
      return open;
    },

    async findEnrolment(id) {
      const row = await database
        .selectFrom('enrolments')
        .selectAll()
        .where('id', '=', id)
        .where('node_id', 'is', null)
        .executeTakeFirst();
      if (row === undefined) return undefined;
      return {
        id: row.id,
        akPublic: row.ak_public,
        akName: row.ak_name,
        credentials: await findCredentials(database, id),
        clientThumbprint: row.client_thumbprint,
        untrustedHints: toHints(row.untrusted_hints),
        expiresAtSeconds: row.expires_at,
      };
    },

    async findEnrolledNode({ enrolmentId, clientThumbprint }) {
      const row = await database
        .selectFrom('enrolments')
        .select('node_id')
        .where('id', '=', enrolmentId)
        .where('client_thumbprint', '=', clientThumbprint)
        .executeTakeFirst();
      return row?.node_id ? nodes.findNode(row.node_id) : undefined;
    },

    async endEnrolment(id) {
      await database.transaction().execute(async (tx) => {
        await tx.deleteFrom('challenges').where('enrolment_id', '=', id).execute();
        await tx.deleteFrom('enrolments').where('id', '=', id).where('node_id', 'is', null).execute();
      });
    },

    async commitActivation(activation) {
      return decide(database, async (tx) => {
        const fault = await consumeChallenge(tx, activation.challengeSha256, activation.verdict.atSeconds);
        if (fault !== undefined) return fault;
        if (!(await bindNode(tx, activation))) return 'conflict';
        await insertVerdict(tx, activation.verdict);
        await tx
          .updateTable('enrolments')
          .set({ node_id: activation.node.id })
          .where('id', '=', activation.enrolmentId)
          .execute();
        await tx
          .deleteFrom('enrolment_credentials')
          .where('enrolment_id', '=', activation.enrolmentId)
          .execute();
        return 'committed';
      });
    },

    async commitVerdict(commit) {
      return decide(database, async (tx) => {
        const fault = await consumeChallenge(tx, commit.challengeSha256, commit.verdict.atSeconds);
        if (fault !== undefined) return fault;
        await insertVerdict(tx, commit.verdict);
        if (commit.verdict.verdict !== 'accept' || commit.verdict.nodeId === undefined) return 'committed';
        const updated = await tx
          .updateTable('nodes')
          .set({ ...countersToColumns(commit.counters), last_verdict_at: commit.verdict.atSeconds })
          .where('id', '=', commit.verdict.nodeId)
          .where('status', '=', 'enrolled')
          .returning('id')
          .executeTakeFirst();
        if (updated === undefined) return 'node-not-enrolled';
        if (commit.grant !== undefined) await replaceGrant(tx, commit.grant);
        return 'committed';
      });
    },

    async recordRefusal(verdict) {
      await database.transaction().execute((tx) => insertVerdict(tx, verdict));
    },

    async findOpenGrant(id) {
      const row = await database
        .selectFrom('grants')
        .selectAll()
        .where('id', '=', id)
        .where('closed_at', 'is', null)
        .executeTakeFirst();
      return (
        row && {
          id: row.id,
          nodeId: row.node_id,
          channel: row.channel,
          version: row.version,
          releaseDigest: row.release_digest,
          clientThumbprint: row.client_thumbprint,
          issuedAtSeconds: row.issued_at,
          expiresAtSeconds: row.expires_at,
        }
      );
    },

    async closeGrant({ id, atSeconds }) {
      await closeGrants(database, { column: 'id', value: id, atSeconds });
    },

    async purgeExpired(beforeSeconds) {
      await database.transaction().execute(async (tx) => {
        await tx.deleteFrom('challenges').where('expires_at', '<', beforeSeconds).execute();
        await tx.deleteFrom('enrolments').where('expires_at', '<', beforeSeconds).execute();
        await tx.deleteFrom('grants').where('expires_at', '<', beforeSeconds).execute();
      });
    },
  };
}

/** A decision other than `committed` takes back what the transaction did until then. */
async function decide<Outcome extends string>(
  database: Database,
  work: (tx: Tx) => Promise<Outcome | 'committed'>,
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

async function consumeChallenge(
  tx: Tx,
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

async function insertEnrolment(tx: Tx, enrolment: EnrolmentRecord): Promise<void> {
  await tx
    .insertInto('enrolments')
    .values({
      id: enrolment.id,
      ak_public: enrolment.akPublic,
      ak_name: enrolment.akName,
      client_thumbprint: enrolment.clientThumbprint,
      untrusted_hints: toJsonColumn(enrolment.untrustedHints),
      expires_at: enrolment.expiresAtSeconds,
      node_id: null,
    })
    .execute();
  const rows = enrolment.credentials.map((credential) => ({
    enrolment_id: enrolment.id,
    secret_sha256: credential.secretSha256,
    ...endorsementKeyToColumns(credential),
  }));
  await tx.insertInto('enrolment_credentials').values(rows).execute();
}

async function findCredentials(database: Database, enrolmentId: string): Promise<PendingCredential[]> {
  const rows = await database
    .selectFrom('enrolment_credentials')
    .selectAll()
    .where('enrolment_id', '=', enrolmentId)
    .execute();
  return rows.map((row) => ({ ...toEndorsementKey(row), secretSha256: row.secret_sha256 }));
}

/** False when the AK or an EK belongs to another node, or the node changed its AK or standing. */
async function bindNode(tx: Tx, { node, endorsementKeys }: Activation): Promise<boolean> {
  const inserted = await tx
    .insertInto('nodes')
    .values({ ...nodeToColumns(node), created_at: node.createdAtSeconds })
    .onConflict((conflict) => conflict.doNothing())
    .returning('id')
    .executeTakeFirst();
  if (inserted === undefined && !(await refreshNode(tx, node))) return false;
  for (const key of endorsementKeys) {
    await saveEndorsementKey(tx, node.id, key);
    const owner = await tx
      .selectFrom('endorsement_keys')
      .select('node_id')
      .where('fingerprint', '=', key.fingerprint)
      .executeTakeFirst();
    if (owner?.node_id !== node.id) return false;
  }
  return true;
}

/** A certificate that comes later is added to its key; one that is left out later is kept. */
async function saveEndorsementKey(tx: Tx, nodeId: string, key: EndorsementKey): Promise<void> {
  const columns = endorsementKeyToColumns(key);
  await tx
    .insertInto('endorsement_keys')
    .values({ node_id: nodeId, ...columns })
    .onConflict((conflict) =>
      key.identity === 'certified'
        ? conflict.column('fingerprint').doUpdateSet(columns).where('endorsement_keys.node_id', '=', nodeId)
        : conflict.doNothing(),
    )
    .execute();
}

/** The same node enrolling again: same id, same AK, and still waiting or enrolled as it was read. */
async function refreshNode(tx: Tx, node: NodeRecord): Promise<boolean> {
  const updated = await tx
    .updateTable('nodes')
    .set({
      ...countersToColumns(node.counters),
      status: node.status,
      admission: node.admission,
      channel: node.channel,
      identity: node.identity,
      untrusted_hints: toJsonColumn(node.untrustedHints),
      last_verdict_at: node.lastVerdictAtSeconds ?? null,
    })
    .where('id', '=', node.id)
    .where('ak_name', '=', node.akName)
    .where((where) => where.or([where('status', '=', 'pending'), where('status', '=', node.status)]))
    .where('status', 'in', ['pending', 'enrolled'])
    .returning('id')
    .executeTakeFirst();
  return updated !== undefined;
}

function nodeToColumns(node: NodeRecord) {
  return {
    id: node.id,
    channel: node.channel,
    status: node.status,
    identity: node.identity,
    admission: node.admission,
    ak_public: node.akPublic,
    ak_name: node.akName,
    untrusted_hints: toJsonColumn(node.untrustedHints),
    reset_count: null,
    restart_count: null,
    clock: null,
    firmware_version: null,
    ...countersToColumns(node.counters),
    last_verdict_at: node.lastVerdictAtSeconds ?? null,
  };
}

async function insertVerdict(tx: Tx, verdict: VerdictRecord): Promise<void> {
  await tx.insertInto('verdicts').values(verdictToColumns(verdict)).execute();
  if (verdict.nodeId === undefined || verdict.evidenceDocument === undefined) return;
  await tx
    .updateTable('verdicts')
    .set({ evidence_document: null })
    .where('node_id', '=', verdict.nodeId)
    .where('id', '<=', (query) =>
      query
        .selectFrom('verdicts')
        .select('id')
        .where('node_id', '=', verdict.nodeId as string)
        .where('evidence_document', 'is not', null)
        .orderBy('id', 'desc')
        .limit(1)
        .offset(EVIDENCE_KEPT_PER_NODE),
    )
    .execute();
}

async function replaceGrant(tx: Tx, grant: GrantRecord): Promise<void> {
  await closeGrants(tx, { column: 'node_id', value: grant.nodeId, atSeconds: grant.issuedAtSeconds });
  await tx
    .insertInto('grants')
    .values({
      id: grant.id,
      node_id: grant.nodeId,
      channel: grant.channel,
      version: grant.version,
      release_digest: grant.releaseDigest,
      client_thumbprint: grant.clientThumbprint,
      issued_at: grant.issuedAtSeconds,
      expires_at: grant.expiresAtSeconds,
      closed_at: null,
    })
    .execute();
}

async function closeGrants(
  on: Database | Tx,
  { column, value, atSeconds }: { column: 'id' | 'node_id'; value: string; atSeconds: number },
): Promise<void> {
  await on
    .updateTable('grants')
    .set({ closed_at: atSeconds })
    .where(column, '=', value)
    .where('closed_at', 'is', null)
    .execute();
}
