import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { ChannelCommand } from '../../src/releases/channel-command.ts';
import type { NodeHistory } from '../../src/releases/node-releases.ts';
import type { RolloutPlan } from '../../src/releases/rollout-plan.ts';
import { type Act, releaseOf, type SimulatedChannel, simulateChannel } from './simulated-channel.ts';

const NODES = 9;
const VERSIONS = 5;
const HISTORIES = Number(process.env.BOOTWARD_HISTORIES ?? 400);

const node = fc.nat({ max: NODES - 1 });
const version = fc.integer({ min: 1, max: VERSIONS });
const plan: fc.Arbitrary<RolloutPlan> = fc.record({
  steps: fc.constantFrom<RolloutPlan['steps'][]>(
    [{ kind: 'percent', percent: 100 }],
    [
      { kind: 'percent', percent: 30 },
      { kind: 'percent', percent: 100 },
    ],
    [
      { kind: 'group', group: 'canary' },
      { kind: 'percent', percent: 60 },
      { kind: 'percent', percent: 100 },
    ],
  ),
  soakSeconds: fc.constantFrom(0, 60, 5000),
  failureBudget: fc.integer({ min: 1, max: 5 }),
  concurrency: fc.integer({ min: 1, max: 9 }),
  quorumPercent: fc.constantFrom(0, 50, 100),
});

const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 12, arbitrary: node.map((of): Act => ({ do: 'boot', node: of })) },
  { weight: 2, arbitrary: node.map((of): Act => ({ do: 'boot-again', node: of })) },
  { weight: 10, arbitrary: node.map((of): Act => ({ do: 'report', node: of })) },
  { weight: 5, arbitrary: fc.constantFrom(30, 400, 1000).map((seconds): Act => ({ do: 'wait', seconds })) },
  { weight: 3, arbitrary: version.map((of): Act => ({ do: 'publish', version: of })) },
  { weight: 1, arbitrary: version.map((of): Act => ({ do: 'withdraw', version: of })) },
  {
    weight: 8,
    arbitrary: fc
      .oneof(
        { weight: 1, arbitrary: version.map((of): ChannelCommand => ({ kind: 'stage', version: of })) },
        {
          weight: 3,
          arbitrary: fc
            .tuple(version, plan)
            .map(([of, how]): ChannelCommand => ({ kind: 'start-rollout', version: of, plan: how })),
        },
        {
          weight: 4,
          arbitrary: fc
            .constantFrom(
              'pause-rollout',
              'resume-rollout',
              'abort-rollout',
              'promote',
              'roll-back',
              'follow',
            )
            .map((kind) => ({ kind }) as ChannelCommand),
        },
      )
      .map((command): Act => ({ do: 'command', command })),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(node, version).map(([of, what]): Act => ({ do: 'pin', node: of, version: what })),
  },
  { weight: 1, arbitrary: node.map((of): Act => ({ do: 'unpin', node: of })) },
  { weight: 2, arbitrary: node.map((of): Act => ({ do: 'retry', node: of })) },
);

/** Bit V*NODES+N says whether version V is good for node N; whole versions are bad often. */
const truth = fc
  .tuple(
    fc.array(fc.boolean(), { minLength: VERSIONS, maxLength: VERSIONS }),
    fc.array(fc.nat({ max: VERSIONS * NODES - 1 }), { maxLength: 6 }),
  )
  .map(([good, odd]) => (of: number, which: number) => {
    const isOdd = odd.includes((of - 1) * NODES + which);
    return (good[of - 1] ?? true) !== isOdd;
  });

const history = fc.record({ isGood: truth, acts: fc.array(act, { minLength: 20, maxLength: 250 }) });

function run({ isGood, acts }: { isGood: (of: number, which: number) => boolean; acts: readonly Act[] }) {
  const channel = simulateChannel({ nodeCount: NODES, isGood });
  for (const one of acts) channel.perform(one);
  return channel;
}

function forAll(holds: (channel: SimulatedChannel, isGood: (of: number, which: number) => boolean) => void) {
  fc.assert(
    fc.property(history, (one) => holds(run(one), one.isGood)),
    { numRuns: HISTORIES },
  );
}

test('R1 a node is never given what the channel metadata do not list at that moment', () => {
  forAll(({ decisions }) => {
    for (const { decision, listed } of decisions)
      if (decision.release) expect(listed).toContain(decision.release);
  });
});

test('there is always a reason, and no release only where nothing usable is listed', () => {
  forAll(({ decisions }) => {
    for (const { decision, listed, state } of decisions) {
      expect(decision.reasons.at(-1)?.message).toBeTruthy();
      if (decision.release !== undefined) continue;
      const usable = state.mode === 'follow' ? listed.map(({ listing }) => listing.sha256) : digestsIn(state);
      expect(listed.filter(({ listing }) => usable.includes(listing.sha256))).toEqual([]);
    }
  });
});

/** What may be booted by a node that takes part in no rollout. */
function digestsIn(state: Extract<SimulatedChannel['state'], { mode: 'slots' }>): string[] {
  const { active, slots, previous } = state;
  const other = slots[active === 'A' ? 'B' : 'A'];
  const activated = other?.activatedAtSeconds === undefined ? [] : [other.releaseDigest];
  const held = [slots[active], previous].flatMap((content) => (content ? [content.releaseDigest] : []));
  return [...held, ...activated];
}

test('of a release that is bad for every node, no rollout lets in more nodes than its failure budget', () => {
  let letIn = 0;
  forAll(({ joined }, isGood) => {
    for (const { nodes, budget, version: of } of joined.values()) {
      const isBadForAll = Array.from({ length: NODES }, (_, which) => !isGood(of, which)).every(Boolean);
      if (!isBadForAll) continue;
      letIn += nodes.size;
      expect(nodes.size).toBeLessThanOrEqual(budget);
    }
  });
  expect(letIn).toBeGreaterThan(0);
});

test('the same inputs give the same answers', () => {
  fc.assert(
    fc.property(history, (one) => {
      const [first, second] = [run(one), run(one)];
      expect(first.decisions.map(({ decision }) => decision)).toEqual(
        second.decisions.map(({ decision }) => decision),
      );
      expect(first.state).toEqual(second.state);
    }),
    { numRuns: Math.ceil(HISTORIES / 4) },
  );
});

test('R10 left alone, a node stops changing, and stays where it is healthy if it can be so anywhere', () => {
  let settled = 0;
  forAll((channel, isGood) => {
    const unlucky = channel.nodes.map(({ history: of }) => hasUsedUpTries(of, isGood));
    leaveAlone(channel, 80);
    const before = channel.nodes.map(({ given }) => given.length);
    leaveAlone(channel, 12);
    for (const [index, { given, history: of, running }] of channel.nodes.entries()) {
      expect(given.length).toBe(before[index]);
      if (of.pin !== undefined || running === undefined || unlucky[index]) continue;
      const { state, listed } = channel;
      if (state.mode === 'follow') continue;
      const choices = digestsIn(state).filter((digest) =>
        listed.some(({ listing }) => listing.sha256 === digest),
      );
      if (choices.length === 0) continue;
      const isHealthyOn = (digest: string) =>
        listed.some(({ listing }) => listing.sha256 === digest && isGood(listing.version, index));
      if (choices.some(isHealthyOn)) {
        settled += 1;
        expect(isHealthyOn(running)).toBe(true);
      }
    }
  });
  expect(settled).toBeGreaterThan(100);
});

/** Power cuts made a good release fail so often that it is given up for good: an operator has to look. */
function hasUsedUpTries({ nodeId, releases }: NodeHistory, isGood: (of: number, which: number) => boolean) {
  const which = Number(nodeId.slice(2));
  return [...releases.values()].some(({ version: of, failedTries }) => failedTries > 6 && isGood(of, which));
}

/** No operator: machines that are well report and boot now and then, those that are not come back again and again. */
function leaveAlone(channel: SimulatedChannel, rounds: number): void {
  for (let round = 0; round < rounds; round += 1) {
    for (const index of channel.nodes.keys()) {
      channel.perform({ do: 'boot', node: index });
      channel.perform({ do: 'report', node: index });
    }
    channel.perform({ do: 'wait', seconds: 6000 });
  }
}

test('a pinned node boots its release as long as that is listed', () => {
  forAll(({ decisions }) => {
    for (const { decision, listed } of decisions) {
      const pinned = decision.reasons.some(({ code }) => code === 'pinned');
      if (pinned) expect(listed).toContain(decision.release);
    }
  });
  const channel = simulateChannel({ nodeCount: 1, isGood: () => true });
  channel.perform({ do: 'publish', version: 2 });
  channel.perform({ do: 'pin', node: 0, version: 1 });
  channel.perform({ do: 'boot', node: 0 });
  expect(channel.nodes[0]?.running).toBe(releaseOf(1).listing.sha256);
});
