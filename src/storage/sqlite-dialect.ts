import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';
import { StorageError } from './errors.ts';

const BUSY_TIMEOUT_MS = 2000;
const MAX_CACHED_STATEMENTS = 256;
/** The event loop waits for a checkpoint: 1 MiB at a time rather than SQLite's four, a few milliseconds. */
const CHECKPOINT_PAGES = 256;

/**
 * kysely's SQLite dialect on the runtime's own SQLite. WAL with synchronous=FULL: a transaction that
 * resolved survives power loss. kysely opens a deferred transaction, which two processes can both turn
 * into a writer too late; `begin immediate` takes the write lock first.
 */
export function createSqliteDialect(file: string): SqliteDialect {
  return new SqliteDialect({ database: async () => adapt(openDatabase(file)) });
}

function openDatabase(file: string): DatabaseSync {
  const database = new DatabaseSync(file, {
    timeout: BUSY_TIMEOUT_MS,
    enableForeignKeyConstraints: true,
    enableDoubleQuotedStringLiterals: false,
  });
  database.exec('pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off;');
  database.exec(`pragma wal_autocheckpoint = ${CHECKPOINT_PAGES}`);
  return database;
}

function adapt(database: DatabaseSync): SqliteDatabase {
  const statements = new Map<string, StatementSync>();
  const prepare = (sql: string): StatementSync => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    if (statements.size >= MAX_CACHED_STATEMENTS) statements.clear();
    const statement = database.prepare(sql === 'begin' ? 'begin immediate' : sql);
    statements.set(sql, statement);
    return statement;
  };
  return {
    close: () => database.close(),
    // A full disk ends a transaction by itself: asking again would hide why behind a second error.
    prepare: (sql) =>
      sql === 'rollback' && !database.isTransaction ? NOTHING : adaptStatement(prepare(sql)),
  };
}

const NOTHING: SqliteStatement = {
  reader: false,
  all: () => [],
  iterate: () => [].values(),
  run: () => ({ changes: 0, lastInsertRowid: 0 }),
};

function adaptStatement(statement: StatementSync): SqliteStatement {
  const bind = (parameters: ReadonlyArray<unknown>) => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => translated(() => statement.all(...bind(parameters))),
    iterate: (parameters) => statement.iterate(...bind(parameters)),
    run: (parameters) => translated(() => statement.run(...bind(parameters))),
  };
}

/** Result code SQLITE_FULL, which also stands for ENOSPC. */
const SQLITE_FULL = 13;

function translated<T>(execute: () => T): T {
  try {
    return execute();
  } catch (cause) {
    if (cause instanceof Error && 'errcode' in cause && cause.errcode === SQLITE_FULL)
      throw new StorageError('storage-full', `the database cannot grow: ${cause.message}`, { cause });
    throw cause;
  }
}
