import { pino } from 'pino';
import { expect, test } from 'vitest';
import { suspectSilentNodes } from '../../src/boot-server/services/silent-nodes.ts';

const NOW_SECONDS = 10_000;

/** One node of a channel with a deadline of 900 seconds was heard of last when the world began. */
async function suspected(given: { setBack?: string; answersSinceSeconds?: number }): Promise<string[]> {
  const suspects: string[] = [];
  await suspectSilentNodes({
    runningNodes: {
      listSilent: async () => ['n1'],
      async suspectSilent({ nodeId }) {
        suspects.push(nodeId);
        return 'changed';
      },
    },
    policies: { listDeadlines: async () => [{ channel: 'demo', seconds: 900, appliedAtSeconds: 0 }] },
    repository: { setBack: () => given.setBack },
    answersSinceSeconds: given.answersSinceSeconds ?? 0,
    clock: { nowMs: () => NOW_SECONDS * 1000 },
    logger: pino({ enabled: false }),
  });
  return suspects;
}

test('a node is suspect when it was silent for longer than its deadline', async () => {
  expect(await suspected({})).toEqual(['n1']);
});

test('R4 not while the database is set back: it hears nothing but refusals', async () => {
  expect(await suspected({ setBack: 'database-older-than-served' })).toEqual([]);
});

test('not before its deadline has passed since machines are answered', async () => {
  expect(await suspected({ answersSinceSeconds: NOW_SECONDS - 900 })).toEqual([]);
  expect(await suspected({ answersSinceSeconds: NOW_SECONDS - 901 })).toEqual(['n1']);
});
