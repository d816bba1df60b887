import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { type ChannelState, createChannel } from '../../src/releases/channel.ts';
import type { ChannelStore } from '../../src/releases/channel-store.ts';
import type { NodeHistory, NodeRelease } from '../../src/releases/node-releases.ts';
import { type Database, openDatabase } from '../../src/storage/database.ts';
import { createSqlChannelStore } from '../../src/storage/sql-channels.ts';

export const CHANNEL: ChannelState = createChannel('demo');

/** A database of its own with enrolled nodes of channel `demo`, gone with the test. */
export async function openChannelStore(
  nodeIds: readonly string[],
): Promise<{ database: Database; channels: ChannelStore }> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-channels-'));
  const database = await openDatabase(join(folder, 'state.db'));
  onTestFinished(async () => {
    await database.destroy();
    await rm(folder, { recursive: true });
  });
  for (const id of nodeIds) await enrol(database, id);
  return { database, channels: createSqlChannelStore(database) };
}

function enrol(database: Database, id: string): Promise<unknown> {
  const facts = { channel: 'demo', status: 'enrolled', identity: 'certified', admission: 'listed' } as const;
  const ak = { ak_public: new Uint8Array([1]), ak_name: `ak of ${id}` };
  return database
    .insertInto('nodes')
    .values({ id, ...facts, ...ak, untrusted_hints: '{}', created_at: 0 })
    .execute();
}

/** The node booted this release then, and said that. */
export async function boot(
  channels: ChannelStore,
  given: { nodeId: string; releaseDigest: string; atSeconds?: number; rolloutId?: string; said?: string },
): Promise<void> {
  const { nodeId, releaseDigest, atSeconds = 0, rolloutId, said } = given;
  const before = await channels.findHistory(nodeId);
  const record: NodeRelease = {
    releaseDigest,
    version: 1,
    failedTries: 0,
    lastBoot: { resetCount: 1, restartCount: 0, grantedAtSeconds: atSeconds, outcome: 'healthy' },
    ...(rolloutId !== undefined && { rolloutId }),
  };
  const after: NodeHistory = { ...before, releases: new Map([...before.releases, [releaseDigest, record]]) };
  const report = said === undefined ? {} : { report: { releaseDigest, atSeconds, text: said } };
  const outcome = await channels.saveHistory({
    before,
    after,
    channel: CHANNEL,
    ...report,
    events: [],
    atSeconds,
  });
  if (outcome !== 'saved') throw new Error(`not saved: ${outcome}`);
}
