import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite';
import { type SqliteDatabase, SqliteDialect, type SqliteStatement } from 'kysely';

const BUSY_TIMEOUT_MS = 2000;
const MAX_CACHED_STATEMENTS = 256;

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
  return { close: () => database.close(), prepare: (sql) => adaptStatement(prepare(sql)) };
}

function adaptStatement(statement: StatementSync): SqliteStatement {
  const bind = (parameters: ReadonlyArray<unknown>) => parameters as SQLInputValue[];
  return {
    reader: statement.columns().length > 0,
    all: (parameters) => statement.all(...bind(parameters)),
    iterate: (parameters) => statement.iterate(...bind(parameters)),
    run: (parameters) => statement.run(...bind(parameters)),
  };
}
