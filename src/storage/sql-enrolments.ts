import { sql } from 'kysely';
import type {
  AttestationStore,
  EnrolmentRecord,
  PendingCredential,
} from '../attestation/attestation-store.ts';
import type { Database, DatabaseTransaction } from './database.ts';
import { endorsementKeyToColumns, toEndorsementKey, toFindings, toHints, toJsonColumn } from './rows.ts';
import { createSqlNodeQueries } from './sql-nodes.ts';

type EnrolmentQueries = Pick<
  AttestationStore,
  'saveEnrolment' | 'countOpenEnrolments' | 'findEnrolment' | 'findEnrolledNode' | 'endEnrolment'
>;

const KEPT_FOR_POLLING_SECONDS = 7 * 86_400;

export function createSqlEnrolmentQueries(database: Database): EnrolmentQueries {
  const nodes = createSqlNodeQueries(database);
  return {
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
      const { waiting } = await database
        .selectFrom('nodes')
        .select((query) => query.fn.countAll<number>().as('waiting'))
        .where('status', '=', 'pending')
        .executeTakeFirstOrThrow();
      return open + waiting;
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
        ...(row.token_sha256 !== null && { tokenSha256: row.token_sha256 }),
        notes: toFindings(row.notes),
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
  };
}

/**
 * Forgets what expired unanswered. Where it led to a node, that node asks by it how it went, for as long as
 * an operator takes to decide.
 */
export async function purgeEnrolments(tx: DatabaseTransaction, beforeSeconds: number): Promise<void> {
  const decidedBefore = beforeSeconds - KEPT_FOR_POLLING_SECONDS;
  await tx
    .deleteFrom('enrolments')
    .where((where) =>
      where.or([
        where('expires_at', '<', decidedBefore),
        where.and([where('expires_at', '<', beforeSeconds), where('node_id', 'is', null)]),
      ]),
    )
    .execute();
}

/**
 * The enrolment has led to a node: what it offered is gone, who asks for it later finds the node. Earlier
 * ones of the node are of boots that are over: a node that enrols without end leaves one.
 */
export async function concludeEnrolment(
  tx: DatabaseTransaction,
  { enrolmentId, nodeId }: { enrolmentId: string; nodeId: string },
): Promise<void> {
  await tx.deleteFrom('enrolments').where('node_id', '=', nodeId).execute();
  await tx.updateTable('enrolments').set({ node_id: nodeId }).where('id', '=', enrolmentId).execute();
  await tx.deleteFrom('enrolment_credentials').where('enrolment_id', '=', enrolmentId).execute();
}

async function insertEnrolment(tx: DatabaseTransaction, enrolment: EnrolmentRecord): Promise<void> {
  await tx
    .insertInto('enrolments')
    .values({
      id: enrolment.id,
      ak_public: enrolment.akPublic,
      ak_name: enrolment.akName,
      client_thumbprint: enrolment.clientThumbprint,
      untrusted_hints: toJsonColumn(enrolment.untrustedHints),
      token_sha256: enrolment.tokenSha256 ?? null,
      notes: toJsonColumn(enrolment.notes),
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

/** In the order in which the keys were presented: a new node's id comes from the first. */
async function findCredentials(database: Database, enrolmentId: string): Promise<PendingCredential[]> {
  const rows = await database
    .selectFrom('enrolment_credentials')
    .selectAll()
    .where('enrolment_id', '=', enrolmentId)
    .orderBy(sql`rowid`)
    .execute();
  return rows.map((row) => ({ ...toEndorsementKey(row), secretSha256: row.secret_sha256 }));
}
