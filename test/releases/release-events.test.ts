import { describe, expect, test } from 'vitest';
import { bookGrant, bookHealth, bookReturn, type NodeHistory } from '../../src/releases/node-releases.ts';
import { historyEvents } from '../../src/releases/release-events.ts';

const RULES = { maxTries: 3, healthWindowSeconds: 900 };
const EMPTY: NodeHistory = { nodeId: 'n', releases: new Map() };

function grant(history: NodeHistory, resetCount: number): NodeHistory {
  return bookGrant(history, { resetCount, restartCount: 0, releaseDigest: 'r', version: 2, atSeconds: 0 });
}

function report(history: NodeHistory, health: 'healthy' | 'unhealthy', resetCount = 1): NodeHistory {
  return bookHealth(history, { resetCount, restartCount: 0, releaseDigest: 'r', health, atSeconds: 1 });
}

const eventsOf = (before: NodeHistory, after: NodeHistory) =>
  historyEvents(before, after, RULES).map(({ kind, quietSeconds }) => [kind, quietSeconds]);

describe('what a running system says of itself', () => {
  test('is an event when it is the first word on a boot, whatever was told of the boot before', () => {
    const first = grant(EMPTY, 1);
    const failed = report(first, 'unhealthy');
    expect(eventsOf(first, failed)).toEqual([['node-boot-failed', undefined]]);
    const second = grant(failed, 2);
    expect(eventsOf(second, report(second, 'unhealthy', 2))).toEqual([['node-boot-failed', undefined]]);
    expect(eventsOf(second, report(second, 'healthy', 2))).toEqual([['node-healthy', undefined]]);
  });

  test('is told in moderation when it takes back what it said', () => {
    const well = report(grant(EMPTY, 1), 'healthy');
    const unwell = report(well, 'unhealthy');
    expect(eventsOf(well, unwell)).toEqual([['node-boot-failed', 600]]);
    expect(eventsOf(unwell, report(unwell, 'healthy'))).toEqual([['node-healthy', 600]]);
  });
});

test('a node that comes back is an event each time', () => {
  const open = grant(EMPTY, 1);
  const now = { resetCount: 2, restartCount: 0, atSeconds: 2, judgedSinceSeconds: 0 };
  expect(eventsOf(open, bookReturn(open, now))).toEqual([['node-boot-failed', undefined]]);
});
