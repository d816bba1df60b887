import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { startHousekeeping } from '../../src/boot-server/services/housekeeping.ts';
import type { ChannelState } from '../../src/releases/channel.ts';

type Parts = Parameters<typeof startHousekeeping>[0];

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const logger = pino({ enabled: false });

/** A server of which nothing is asked but its channels. */
function keepHouse(listChannels: () => Promise<ChannelState[]>) {
  const repository = { current: () => ({}) };
  const parts = { channels: { listChannels }, repository, config: { rolloutCheckSeconds: 5 }, logger };
  return startHousekeeping({ ...parts, clock: { nowMs: () => 0 } } as unknown as Parts);
}

test('a round of rollouts that takes long is not begun a second time', async () => {
  const rounds: PromiseWithResolvers<ChannelState[]>[] = [];
  const keeper = keepHouse(() => {
    const round = Promise.withResolvers<ChannelState[]>();
    rounds.push(round);
    return round.promise;
  });
  await vi.advanceTimersByTimeAsync(20_000);
  expect(rounds).toHaveLength(1);
  rounds[0]?.resolve([]);
  await vi.advanceTimersByTimeAsync(5000);
  expect(rounds).toHaveLength(2);
  rounds[1]?.reject(new Error('the disk is gone'));
  await vi.advanceTimersByTimeAsync(5000);
  expect(rounds).toHaveLength(3);
  keeper.stop();
});
