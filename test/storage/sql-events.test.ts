import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { EventRetention, EventStore } from '../../src/attestation/event-store.ts';
import { forgetOldEvents } from '../../src/boot-server/services/old-events.ts';
import { insertAuditEvent, insertNodeEvent } from '../../src/storage/audit-events.ts';
import { type Database, openDatabase } from '../../src/storage/database.ts';
import { createSqlEventStore } from '../../src/storage/sql-events.ts';

let folder: string;
let database: Database;
let events: EventStore & EventRetention;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootward-events-'));
  database = await openDatabase(join(folder, 'state.db'));
  events = createSqlEventStore(database);
});
afterEach(async () => {
  await database.destroy();
  await rm(folder, { recursive: true });
});

const DAY_SECONDS = 86_400;
const NOW_SECONDS = 1_800_000_000;

/** One after the other, in one transaction. */
function insert(many: readonly { atSeconds: number; kind: string; subject: string }[]): Promise<void> {
  return database.transaction().execute(async (tx) => {
    for (const event of many) await insertAuditEvent(tx, event);
  });
}

function fromNode(event: {
  atSeconds: number;
  kind?: string;
  subject?: string;
  version?: string;
  quietSeconds?: number;
}): Promise<void> {
  const { kind = 'node-healthy', subject = 'n1', version = '2', ...rest } = event;
  return database
    .transaction()
    .execute((tx) => insertNodeEvent(tx, { kind, subject, detail: { version }, ...rest }));
}

const times = async (): Promise<number[]> =>
  (await events.listEvents({ afterId: 0, limit: 5000 })).map(({ atSeconds }) => atSeconds);

function forget(kept: { keptDays: number; keptCount: number }): Promise<number> {
  const clock = { nowMs: () => NOW_SECONDS * 1000 };
  return forgetOldEvents({ eventStore: events, config: { events: kept }, clock });
}

describe('events', () => {
  test('are forgotten when they are too old, and not a second earlier', async () => {
    const limit = NOW_SECONDS - 400 * DAY_SECONDS;
    await insert(
      [limit - 1, limit, NOW_SECONDS].map((atSeconds) => ({ atSeconds, kind: 'k', subject: 's' })),
    );
    expect(await forget({ keptDays: 400, keptCount: 1000 })).toBe(1);
    expect(await times()).toEqual([limit, NOW_SECONDS]);
  });

  test('are forgotten, the oldest first, when they are too many', async () => {
    const many = Array.from({ length: 3500 }, (_, n) => ({
      atSeconds: NOW_SECONDS,
      kind: 'k',
      subject: `${n}`,
    }));
    await insert(many);
    expect(await forget({ keptDays: 400, keptCount: 1000 })).toBe(2500);
    const left = await events.listEvents({ afterId: 0, limit: 5000 });
    expect([left.length, left[0]?.subject, left.at(-1)?.subject]).toEqual([1000, '2500', '3499']);
    expect(await forget({ keptDays: 400, keptCount: 1000 })).toBe(0);
  });

  test('that follow are numbered on when all before them are gone', async () => {
    await insert([{ atSeconds: 1, kind: 'k', subject: 's' }]);
    await forget({ keptDays: 1, keptCount: 1000 });
    await insert([{ atSeconds: NOW_SECONDS, kind: 'k', subject: 's' }]);
    expect((await events.listEvents({ afterId: 1, limit: 10 })).map(({ id }) => id)).toEqual([2]);
  });
});

describe('what a node brings about', () => {
  test('is not told again within its quiet time, and is after it', async () => {
    for (const atSeconds of [0, 1, 599, 600, 601]) await fromNode({ atSeconds, quietSeconds: 600 });
    expect(await times()).toEqual([0, 600]);
  });

  test('is told of another version, kind and node at once', async () => {
    await fromNode({ atSeconds: 0 });
    await fromNode({ atSeconds: 1, quietSeconds: 600, version: '3' });
    await fromNode({ atSeconds: 2, quietSeconds: 600, kind: 'node-boot-failed' });
    await fromNode({ atSeconds: 3, quietSeconds: 600, subject: 'n2' });
    await fromNode({ atSeconds: 4, quietSeconds: 600 });
    expect(await times()).toEqual([0, 1, 2, 3]);
  });

  test('crowds out what it brought about before, and nothing that others did', async () => {
    await insert([{ atSeconds: 0, kind: 'node-revoked', subject: 'n1' }]);
    await fromNode({ atSeconds: 1, kind: 'node-boot-failed' });
    await fromNode({ atSeconds: 2, subject: 'n2' });
    await database.transaction().execute(async (tx) => {
      for (let atSeconds = 10; atSeconds < 520; atSeconds += 1)
        await insertNodeEvent(tx, { atSeconds, kind: 'node-healthy', subject: 'n1' });
    });
    const kept = await times();
    expect(kept.slice(0, 4)).toEqual([0, 1, 2, 20]);
    expect(kept).toHaveLength(503);
  });
});
