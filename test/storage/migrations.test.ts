import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Kysely, sql } from 'kysely';
import { Migrator } from 'kysely/migration';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../src/storage/database.ts';
import { nodesAndReleases } from '../../src/storage/migrations/0001-nodes-and-releases.ts';
import { createSqlAttestationStore } from '../../src/storage/sql-attestation-store.ts';
import { createSqlPolicyStore } from '../../src/storage/sql-policies.ts';
import { createSqlReleaseStore } from '../../src/storage/sql-release-store.ts';
import { createSqliteDialect } from '../../src/storage/sqlite-dialect.ts';

let folder: string;
let file: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootward-migrations-'));
  file = join(folder, 'state.db');
});
afterEach(() => rm(folder, { recursive: true }));

/** What the first version of this program left behind. */
async function writeFirstVersion(): Promise<void> {
  const database = new Kysely<unknown>({ dialect: createSqliteDialect(file) });
  const migrations = { '0001-nodes-and-releases': nodesAndReleases };
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => migrations } });
  expect((await migrator.migrateToLatest()).error).toBeUndefined();
  for (const statement of [
    `insert into nodes values ('n1', 'demo', 'enrolled', 'certified', 'listed', x'01', 'ak1', 'measured', '{}',
      7, 1, '99', '5', 1000, 1001)`,
    `insert into endorsement_keys values ('ek1', 'n1', x'02', null, 'id:00001014', 'certified')`,
    `insert into enrolments values ('e1', x'01', 'ak1', 'thumbprint', '{}', 2000, null)`,
    `insert into stage0_images values ('s1', 1, 'x86-64', 'p4', null, 'p11')`,
  ])
    await sql.raw(statement).execute(database);
  await database.destroy();
}

test('a database of the first version is brought up to date with everything in it', async () => {
  await writeFirstVersion();
  const database = await openDatabase(file);
  const store = createSqlAttestationStore(database);
  expect(await store.findNode('n1')).toMatchObject({
    status: 'enrolled',
    counters: { resetCount: 7, restartCount: 1, clock: 99n, firmwareVersion: 5n },
    ekFingerprints: ['ek1'],
    akGeneration: 1,
    akMayChange: false,
    akRotationDue: false,
    romAsserted: false,
  });
  expect(await store.findNode('n1')).not.toHaveProperty('session');
  expect(await store.findEnrolment('e1')).toMatchObject({ notes: [] });
  expect(await createSqlPolicyStore(database).findBaseline('n1')).toBeUndefined();
  const [image] = await createSqlReleaseStore(database).loadStage0Images();
  expect(image).not.toHaveProperty('withdrawnAtSeconds');
  expect(image).not.toHaveProperty('floorKey');
  expect(await store.findNode('n1')).not.toHaveProperty('floorMissed');
  await database.destroy();
});
