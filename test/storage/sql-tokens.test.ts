import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { EnrolmentToken, EnrolmentTokenStore } from '../../src/attestation/enrolment-tokens.ts';
import { type Database, openDatabase } from '../../src/storage/database.ts';
import { createSqlTokenStore } from '../../src/storage/sql-tokens.ts';

let folder: string;
let database: Database;
let store: EnrolmentTokenStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootward-tokens-'));
  database = await openDatabase(join(folder, 'state.db'));
  store = createSqlTokenStore(database);
});

afterEach(async () => {
  await database.destroy();
  await rm(folder, { recursive: true });
});

const token = (over: Partial<EnrolmentToken> = {}): EnrolmentToken => ({
  sha256: 'ab'.repeat(32),
  channel: 'edge',
  comment: 'rack 7',
  createdAtSeconds: 1000,
  expiresAtSeconds: 2000,
  ...over,
});

test('what was created is found and listed, with an event', async () => {
  await store.createToken(token());
  expect(await store.findUnusedToken(token().sha256)).toEqual(token());
  expect(await store.findUnusedToken('cd'.repeat(32))).toBeUndefined();
  expect(await store.listTokens()).toEqual([token()]);
  const events = await database.selectFrom('audit_events').selectAll().execute();
  expect(events).toMatchObject([{ kind: 'token-created', subject: token().sha256, at: 1000 }]);
});

test('what was withdrawn is gone; the beginning of its hash names it', async () => {
  await store.createToken(token());
  await store.createToken(token({ sha256: 'cd'.repeat(32) }));
  expect(await store.withdrawToken({ sha256Prefix: 'abababab', atSeconds: 1500 })).toBe('withdrawn');
  expect(await store.withdrawToken({ sha256Prefix: 'abababab', atSeconds: 1500 })).toBe('unknown');
  expect(await store.listTokens()).toEqual([token({ sha256: 'cd'.repeat(32) })]);
});

test('a token that was used is found no more and cannot be withdrawn', async () => {
  await store.createToken(token());
  await database
    .insertInto('nodes')
    .values({
      id: 'n1',
      channel: 'edge',
      status: 'enrolled',
      identity: 'certified',
      admission: 'token',
      ak_public: new Uint8Array(1),
      ak_name: 'ak1',
      untrusted_hints: '{}',
      created_at: 1000,
    } as never)
    .execute();
  await database.updateTable('enrolment_tokens').set({ used_by: 'n1' }).execute();
  expect(await store.findUnusedToken(token().sha256)).toBeUndefined();
  expect(await store.withdrawToken({ sha256Prefix: 'abababab', atSeconds: 1500 })).toBe('unknown');
  expect(await store.listTokens()).toEqual([token({ usedBy: 'n1' })]);
});
