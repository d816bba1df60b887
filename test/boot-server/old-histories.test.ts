import { expect, test } from 'vitest';
import { forgetOldHistories } from '../../src/boot-server/services/old-histories.ts';
import type { PublishedRepository } from '../../src/boot-server/services/published-repository.ts';
import type { ChannelState } from '../../src/releases/channel.ts';
import { boot, openChannelStore } from '../storage/channel-fixture.ts';

const DAY_SECONDS = 86_400;
const NOW_SECONDS = 1_800_000_000;
const clock = { nowMs: () => NOW_SECONDS * 1000 };

/** What the metadata list; nothing else of them is looked at. */
function publishing(...digests: string[]) {
  const channels = new Map([['demo', digests.map((sha256) => ({ sha256 }))]]);
  return { current: () => ({ verified: { channels } }) as unknown as PublishedRepository };
}

async function open() {
  const opened = await openChannelStore(['n']);
  const bootedDaysAgo = (days: number, releaseDigest: string) =>
    boot(opened.channels, { nodeId: 'n', releaseDigest, atSeconds: NOW_SECONDS - days * DAY_SECONDS });
  const remembered = async () => [...(await opened.channels.findHistory('n')).releases.keys()].sort();
  return { ...opened, bootedDaysAgo, remembered };
}

test('what nodes went through with a release of long ago is forgotten', async () => {
  const { channels, bootedDaysAgo, remembered } = await open();
  await bootedDaysAgo(31, 'old');
  await bootedDaysAgo(29, 'withdrawn of late');
  await bootedDaysAgo(400, 'listed');
  expect(await forgetOldHistories({ channels, repository: publishing('listed'), clock })).toBe(1);
  expect(await remembered()).toEqual(['listed', 'withdrawn of late']);
});

test('what is in a slot, the last rollout or a pin stays, however old', async () => {
  const { database, channels, bootedDaysAgo, remembered } = await open();
  for (const digest of ['slot A', 'slot B', 'rollout', 'pin', 'old']) await bootedDaysAgo(400, digest);
  const document = {
    channel: 'demo',
    revision: 1,
    mode: 'slots',
    active: 'A',
    slots: { A: { releaseDigest: 'slot A' }, B: { releaseDigest: 'slot B' } },
    rollout: { releaseDigest: 'rollout' },
  } as unknown as ChannelState;
  const row = { name: 'demo', revision: 1, document: JSON.stringify(document) };
  await database.insertInto('channels').values(row).execute();
  await database.insertInto('node_choices').values({ node_id: 'n', pinned_digest: 'pin' }).execute();
  expect(await forgetOldHistories({ channels, repository: publishing(), clock })).toBe(1);
  expect(await remembered()).toEqual(['pin', 'rollout', 'slot A', 'slot B']);
});

test('nothing is forgotten while no metadata say what is listed', async () => {
  const { channels, bootedDaysAgo, remembered } = await open();
  await bootedDaysAgo(400, 'old');
  expect(await forgetOldHistories({ channels, repository: { current: () => undefined }, clock })).toBe(0);
  expect(await remembered()).toEqual(['old']);
});
