import { expect, test } from 'vitest';
import type { NodeHistory } from '../../src/releases/node-releases.ts';
import type { Rollout } from '../../src/releases/rollout.ts';
import { tallyOf } from '../../src/releases/tally.ts';

const HEALTH = { maxTries: 3, healthWindowSeconds: 600 };
const ROLLOUT = { id: 'one', releaseDigest: 'r', plan: { steps: [] }, step: 0 } as unknown as Rollout;

/** It failed a try at second 1000 and has not come back. */
const AWAY: NodeHistory = {
  nodeId: 'n',
  releases: new Map([
    [
      'r',
      {
        releaseDigest: 'r',
        version: 2,
        rolloutId: 'one',
        failedTries: 1,
        lastFailure: { kind: 'unhealthy', atSeconds: 1000 },
        lastBoot: { resetCount: 1, restartCount: 0, grantedAtSeconds: 900, outcome: 'failed' },
      },
    ],
  ]),
};

function lostAt(nowSeconds: number, answersSinceSeconds?: number): number {
  return tallyOf(ROLLOUT, {
    histories: [AWAY],
    departed: 0,
    health: HEALTH,
    nowSeconds,
    ...(answersSinceSeconds !== undefined && { answersSinceSeconds }),
  }).lost;
}

test('a node is lost that failed and did not come back within a health window', () => {
  expect([lostAt(1599), lostAt(1600)]).toEqual([0, 1]);
});

test('R4 a node is not lost by not coming back to a server that did not answer', () => {
  expect([lostAt(5599, 5000), lostAt(5600, 5000)]).toEqual([0, 1]);
  expect(lostAt(1600, 500)).toBe(1);
});
