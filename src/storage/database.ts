import { chmod, open } from 'node:fs/promises';
import { Kysely, type Transaction } from 'kysely';
import { type Migration, Migrator } from 'kysely/migration';
import { StorageError } from './errors.ts';
import { nodesAndReleases } from './migrations/0001-nodes-and-releases.ts';
import { policiesAndRunningNodes } from './migrations/0002-policies-and-running-nodes.ts';
import { floors } from './migrations/0003-floors.ts';
import { channelsAndSlots } from './migrations/0004-channels-and-slots.ts';
import { keptRoots } from './migrations/0005-kept-roots.ts';
import { floorKeys } from './migrations/0006-floor-keys.ts';
import { figuresAndRetention } from './migrations/0007-figures-and-retention.ts';
import { floorResets } from './migrations/0008-floor-resets.ts';
import type { Schema } from './schema.ts';
import { createSqliteDialect } from './sqlite-dialect.ts';

export type Database = Kysely<Schema>;
export type DatabaseTransaction = Transaction<Schema>;

/** In order, forward only; a name that is out in the world never changes. */
const MIGRATIONS: Record<string, Migration> = {
  '0001-nodes-and-releases': nodesAndReleases,
  '0002-policies-and-running-nodes': policiesAndRunningNodes,
  '0003-floors': floors,
  '0004-channels-and-slots': channelsAndSlots,
  '0005-kept-roots': keptRoots,
  '0006-floor-keys': floorKeys,
  '0007-figures-and-retention': figuresAndRetention,
  '0008-floor-resets': floorResets,
};

/**
 * Opens the database file, made on first use readable by its owner only, and brings its schema up to
 * date. A crash during a migration leaves the schema as it was before that migration.
 *
 * @throws {StorageError} `database-newer` when a newer version of this program has written it
 */
export async function openDatabase(file: string): Promise<Database> {
  await (await open(file, 'a', 0o600)).close();
  await chmod(file, 0o600);
  const database = new Kysely<Schema>({ dialect: createSqliteDialect(file) });
  try {
    await migrate(database);
    return database;
  } catch (cause) {
    await database.destroy();
    throw cause;
  }
}

async function migrate(database: Database): Promise<void> {
  const migrator = new Migrator({ db: database, provider: { getMigrations: async () => MIGRATIONS } });
  await refuseNewer(migrator, database);
  const { error } = await migrator.migrateToLatest();
  if (error !== undefined)
    throw new StorageError('database-unusable', 'the database schema could not be brought up to date', {
      cause: error,
    });
}

async function refuseNewer(migrator: Migrator, database: Database): Promise<void> {
  const known = new Set((await migrator.getMigrations()).map((migration) => migration.name));
  const tables = await database.introspection.getTables({ withInternalKyselyTables: true });
  if (!tables.some((table) => table.name === 'kysely_migration')) return;
  const applied = await database
    .withTables<{ kysely_migration: { name: string } }>()
    .selectFrom('kysely_migration')
    .select('name')
    .execute();
  const newer = applied.filter((migration) => !known.has(migration.name));
  if (newer.length > 0)
    throw new StorageError(
      'database-newer',
      `the database was written by a newer version (${newer.map((migration) => migration.name).join(', ')}): upgrade this program or restore a backup`,
    );
}
