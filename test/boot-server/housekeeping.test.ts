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
  const repository = { current: () => ({}), setBack: () => undefined };
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

/** One channel of which every node owes evidence every 900 seconds; answers when somebody was looked for. */
function awaitEvidence(repository: { setBack: () => string | undefined }) {
  const lookedAtSeconds: number[] = [];
  const startMs = Date.now();
  const clock = { nowMs: () => Date.now() - startMs };
  const parts = {
    store: { purgeExpired: async () => {} },
    readiness: { warnings: () => [] },
    channels: { listChannels: async () => [] },
    policies: { listDeadlines: async () => [{ channel: 'demo', seconds: 900, appliedAtSeconds: -3600 }] },
    runningNodes: {
      listSilent: async () => {
        lookedAtSeconds.push(clock.nowMs() / 1000);
        return [];
      },
    },
    repository: { current: () => undefined, ...repository },
    config: { rolloutCheckSeconds: 10 },
    logger,
  };
  return { lookedAtSeconds, keeper: startHousekeeping({ ...parts, clock } as unknown as Parts) };
}

test('R4 nobody is silent while the database is set back, nor owes anything from that time', async () => {
  let setBack: string | undefined = 'database-older-than-served: …';
  const { lookedAtSeconds, keeper } = awaitEvidence({ setBack: () => setBack });
  await vi.advanceTimersByTimeAsync(3_600_000);
  expect(lookedAtSeconds).toEqual([]);
  setBack = undefined;
  await vi.advanceTimersByTimeAsync(3_600_000);
  keeper.stop();
  expect(lookedAtSeconds[0]).toBe(3600 + 900 + 60);
});

test('its twin: of a server that was never set back nodes are silent a deadline after its start', async () => {
  const { lookedAtSeconds, keeper } = awaitEvidence({ setBack: () => undefined });
  await vi.advanceTimersByTimeAsync(3_600_000);
  keeper.stop();
  expect(lookedAtSeconds[0]).toBe(900 + 60);
});
