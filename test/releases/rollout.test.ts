import { describe, expect, test } from 'vitest';
import { createChannel, type SlottedChannel, useSlots } from '../../src/releases/channel.ts';
import { applyCommand, type ChannelCommand } from '../../src/releases/channel-command.ts';
import { decideRelease } from '../../src/releases/decision.ts';
import {
  bookGrant,
  bookHealth,
  bookReturn,
  bookSilence,
  experienceOf,
  forgetFailures,
  type NodeHistory,
} from '../../src/releases/node-releases.ts';
import { advanceRollout, EMPTY_TALLY, type Rollout, type RolloutTally } from '../../src/releases/rollout.ts';
import { DEFAULT_PLAN, describeStep, parseStep } from '../../src/releases/rollout-plan.ts';
import { tallyOf } from '../../src/releases/tally.ts';
import { releaseOf } from './simulated-channel.ts';

const NOW = 1_000_000;
const LISTED = [releaseOf(1), releaseOf(2), releaseOf(3)];
const PLAN = { ...DEFAULT_PLAN, steps: [{ kind: 'percent' as const, percent: 100 }], soakSeconds: 600 };
const NODE: NodeHistory = { nodeId: 'n-1', releases: new Map() };

function command(state: SlottedChannel, ...commands: ChannelCommand[]): SlottedChannel {
  return commands.reduce<SlottedChannel>((channel, one, index) => {
    const after = applyCommand(channel, one, { listed: LISTED, atSeconds: NOW, rolloutId: `r-${index}` });
    if (after.mode !== 'slots') throw new Error('the channel has lost its slots');
    return after;
  }, state);
}

const slotted = () => useSlots(createChannel('lab'), { inForce: releaseOf(1), atSeconds: NOW });
const start: ChannelCommand = { kind: 'start-rollout', version: 2, plan: PLAN };

function rolloutOf({ rollout }: SlottedChannel): Rollout {
  if (rollout === undefined) throw new Error('there is no rollout');
  return rollout;
}

function grant(history: NodeHistory, version: number, resetCount: number, joins?: Rollout): NodeHistory {
  const { sha256: releaseDigest } = releaseOf(version).listing;
  const cycle = { resetCount, restartCount: 0 };
  return bookGrant(history, { ...cycle, releaseDigest, version, atSeconds: NOW, ...(joins && { joins }) });
}

function report(history: NodeHistory, version: number, resetCount: number): NodeHistory {
  const { sha256: releaseDigest } = releaseOf(version).listing;
  return bookHealth(history, {
    resetCount,
    restartCount: 0,
    releaseDigest,
    health: 'healthy',
    atSeconds: NOW,
  });
}

/** Boots and comes back without a word, so often. */
function fail(history: NodeHistory, version: number, times: number, joins?: Rollout): NodeHistory {
  let failing = grant(history, version, 1, joins);
  for (let resetCount = 2; resetCount <= times + 1; resetCount += 1) {
    const cycle = { resetCount, restartCount: 0, atSeconds: NOW, judgedSinceSeconds: 0 };
    failing = bookReturn(failing, cycle);
    if (resetCount <= times) failing = grant(failing, version, resetCount);
  }
  return failing;
}

const decide = (channel: SlottedChannel, node: NodeHistory) =>
  decideRelease({ channel, listed: LISTED, node, tally: EMPTY_TALLY }).release?.listing.version;

const recordOf = (history: NodeHistory, version: number) =>
  history.releases.get(releaseOf(version).listing.sha256);

describe('a step', () => {
  const advance = (rollout: Rollout, tally: Partial<RolloutTally>, nowSeconds = NOW) =>
    advanceRollout(rollout, { tally: { ...EMPTY_TALLY, ...tally }, isListed: true, nowSeconds });

  test('soaks from the moment of its quorum, whatever reboots meanwhile', () => {
    const running = rolloutOf(command(slotted(), start));
    expect(advance(running, { cohort: 10, healthy: 7, open: 3 })).toBe(running);
    const soaking = advance(running, { cohort: 10, healthy: 8, open: 2 });
    expect(soaking).toMatchObject({ state: 'running', quorumAtSeconds: NOW });
    expect(advance(soaking, { cohort: 10, healthy: 10 }, NOW + 599)).toBe(soaking);
    expect(advance(soaking, { cohort: 10, healthy: 9, open: 1 }, NOW + 600).state).toBe('completed');
  });

  test('halts when every node whose turn it was has failed, below the budget', () => {
    const running = rolloutOf(command(slotted(), start));
    const halted = advance(running, { cohort: 2, failed: 1, lost: 1, away: 1 });
    expect(halted.state).toBe('halted');
    expect(halted.reason).toMatch(/which is every node whose turn it was/);
  });

  test('halts when its release is not listed any more', () => {
    const running = rolloutOf(command(slotted(), start));
    expect(advanceRollout(running, { tally: EMPTY_TALLY, isListed: false, nowSeconds: NOW }).state).toBe(
      'halted',
    );
  });

  test('does not wait for nodes that are pinned elsewhere', () => {
    const rollout = rolloutOf(command(slotted(), start));
    const pinned = { ...NODE, nodeId: 'n-2', pin: releaseOf(1).listing.sha256 };
    const on = { departed: 0, health: slotted().health, nowSeconds: NOW };
    expect(tallyOf(rollout, { ...on, histories: [NODE, pinned] }).cohort).toBe(1);
  });

  test('counts a node that is gone as failed', () => {
    const rollout = rolloutOf(command(slotted(), start));
    const on = { departed: 2, health: slotted().health, nowSeconds: NOW, histories: [NODE] };
    expect(tallyOf(rollout, on)).toMatchObject({ cohort: 1, failed: 2 });
  });

  test('is written as it is read', () => {
    for (const step of [parseStep('10'), parseStep('10%'), parseStep('canary')])
      expect(parseStep(describeStep(step))).toEqual(step);
  });
});

describe('the budget', () => {
  test('is not given back by letting failed nodes try again', () => {
    const { health, ...channel } = command(slotted(), start);
    const rollout = rolloutOf({ health, ...channel });
    const failed = forgetFailures(fail(report(grant(NODE, 2, 0), 2, 0), 2, 3, rollout));
    const record = recordOf(failed, 2);
    expect(record && experienceOf(record, health)).toBe('trying');
    const on = { departed: 0, health, nowSeconds: NOW, histories: [failed] };
    expect(tallyOf(rollout, on)).toMatchObject({ healthy: 0, away: 1 });
  });

  test('holds for a release that was active once: while it rolls out it is no fallback', () => {
    const channel = command(
      slotted(),
      { kind: 'stage', version: 2 },
      { kind: 'promote' },
      { kind: 'roll-back' },
      start,
    );
    const cohort = { ...rolloutOf(channel).plan, steps: [{ kind: 'group' as const, group: 'canary' }] };
    const rolling = { ...channel, rollout: { ...rolloutOf(channel), plan: cohort } };
    expect(decide(rolling, fail(NODE, 1, 3))).toBe(1);
  });
});

describe('a node that has fallen back', () => {
  test('keeps what it is well on when another release is staged over it', () => {
    const promoted = command(slotted(), { kind: 'stage', version: 2 }, { kind: 'promote' });
    const node = report(grant(fail(NODE, 2, 3), 1, 9), 1, 9);
    expect(decide(promoted, node)).toBe(1);
    const staged = command(promoted, { kind: 'stage', version: 3 });
    expect(decide(staged, node)).toBe(1);
    expect(decide(command(staged, { kind: 'promote' }), node)).toBe(3);
  });
});

describe('bookings', () => {
  test('a release that was granted and never booted has not failed', () => {
    const rollout = rolloutOf(command(slotted(), start));
    const moved = report(grant(grant(NODE, 1, 5), 2, 5, rollout), 2, 5);
    const later = { atSeconds: NOW + 10_000, judgedSinceSeconds: 0 };
    expect(recordOf(bookSilence(moved, slotted().health, later), 1)).toMatchObject({
      failedTries: 0,
      lastBoot: { outcome: 'left' },
    });
  });

  test('nobody judges boots from when the channel followed the newest', () => {
    const node = grant(NODE, 1, 5);
    const now = { atSeconds: NOW + 10_000, judgedSinceSeconds: NOW + 1 };
    expect(bookSilence(node, slotted().health, now)).toBe(node);
    expect(bookReturn(node, { ...now, resetCount: 6, restartCount: 0 })).toBe(node);
  });
});

describe('an operator', () => {
  test('cannot switch to a release that is not listed any more', () => {
    const promoted = command(slotted(), { kind: 'stage', version: 2 }, { kind: 'promote' });
    for (const kind of ['promote', 'roll-back'] as const)
      expect(() =>
        applyCommand(promoted, { kind }, { listed: [releaseOf(2)], atSeconds: NOW, rolloutId: 'r' }),
      ).toThrow(expect.objectContaining({ code: 'release-not-listed' }));
  });
});
