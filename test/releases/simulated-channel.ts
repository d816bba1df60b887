import { toHex } from '../../src/core/bytes.ts';
import type { Release } from '../../src/releases/catalog.ts';
import { type ChannelState, createChannel, openRollout } from '../../src/releases/channel.ts';
import { applyCommand, type ChannelCommand } from '../../src/releases/channel-command.ts';
import { type Decision, decideRelease } from '../../src/releases/decision.ts';
import { ReleaseError } from '../../src/releases/errors.ts';
import {
  bookGrant,
  bookHealth,
  bookReturn,
  bookSilence,
  forgetFailures,
  type NodeHistory,
} from '../../src/releases/node-releases.ts';
import { advanceRollout, type Rollout } from '../../src/releases/rollout.ts';
import { applyAdvance } from '../../src/releases/rollout-commands.ts';
import { tallyOf } from '../../src/releases/tally.ts';

/** A release as the decision needs it; what it names is never looked at there. */
export function releaseOf(version: number, channel = 'lab'): Release {
  const sha256 = toHex(new Uint8Array(32).fill(version));
  const reference = { sha256, length: 1 };
  const common = { channel, version, architecture: 'x86-64' as const, name: `release ${version}` };
  return {
    listing: { ...common, ...reference, target: `channels/${channel}/${version}/manifest.json` },
    manifest: {
      ...common,
      handover: 'kexec',
      cmdline: '',
      kernel: reference,
      initramfs: reference,
      attachments: new Map(),
    },
  };
}

export type Act =
  | { do: 'boot'; node: number }
  | { do: 'boot-again'; node: number }
  | { do: 'report'; node: number }
  | { do: 'wait'; seconds: number }
  | { do: 'publish'; version: number }
  | { do: 'withdraw'; version: number }
  | { do: 'command'; command: ChannelCommand }
  | { do: 'pin'; node: number; version: number }
  | { do: 'unpin'; node: number }
  | { do: 'retry'; node: number };

interface SimulatedNode {
  history: NodeHistory;
  resetCount: number;
  /** Releases that it was given, each once for each change. */
  given: string[];
  running?: string;
}

/**
 * A channel, its nodes and its operator, driven through the same pure functions as the server drives them. A release
 * that is good for a node reports as soon as it is asked to; one that is bad never says that it is healthy.
 */
export interface SimulatedChannel {
  state: ChannelState;
  nowSeconds: number;
  nodes: SimulatedNode[];
  listed: Release[];
  /** Every decision, with what was listed when it was made. */
  decisions: { decision: Decision; node: number; listed: readonly Release[]; state: ChannelState }[];
  /** By rollout: who was let in, and the largest budget it ever had. */
  joined: Map<string, { nodes: Set<number>; budget: number; version: number }>;
  perform(act: Act): void;
}

export function simulateChannel(on: {
  nodeCount: number;
  isGood: (version: number, node: number) => boolean;
}): SimulatedChannel {
  let rollouts = 0;
  const nodes = Array.from(
    { length: on.nodeCount },
    (_, index): SimulatedNode => ({
      history: { nodeId: `n-${index}`, ...(index % 3 === 0 && { group: 'canary' }), releases: new Map() },
      resetCount: 1,
      given: [],
    }),
  );
  const channel: SimulatedChannel = {
    state: createChannel('lab'),
    nowSeconds: 1_000_000,
    nodes,
    listed: [releaseOf(1)],
    decisions: [],
    joined: new Map(),
    perform(act) {
      try {
        perform(act);
      } catch (error) {
        if (!(error instanceof ReleaseError)) throw error;
      }
    },
  };

  function tallyFor(rollout: Rollout, except?: SimulatedNode) {
    const histories = nodes.filter((node) => node !== except).map(({ history }) => history);
    const state = channel.state;
    if (state.mode !== 'slots') throw new Error('a rollout without slots');
    return tallyOf(rollout, { histories, departed: 0, health: state.health, nowSeconds: channel.nowSeconds });
  }

  function boot(index: number, isNewCycle: boolean): void {
    const node = nodes[index];
    if (node === undefined) return;
    if (isNewCycle) node.resetCount += 1;
    const cycle = { resetCount: node.resetCount, restartCount: 0 };
    const atSeconds = channel.nowSeconds;
    if (channel.state.mode === 'slots')
      node.history = bookReturn(node.history, {
        ...cycle,
        atSeconds,
        judgedSinceSeconds: channel.state.slotsSinceSeconds,
      });
    const rollout = openRollout(channel.state);
    const input = {
      channel: channel.state,
      listed: channel.listed,
      node: node.history,
      tally: rollout ? tallyFor(rollout, node) : { open: 0, away: 0, failed: 0 },
    };
    const decision = decideRelease(input);
    channel.decisions.push({ decision, node: index, listed: channel.listed, state: channel.state });
    if (decision.release === undefined) return;
    const { sha256: releaseDigest, version } = decision.release.listing;
    if (decision.joins) {
      const joined = channel.joined.get(decision.joins.id) ?? { nodes: new Set(), budget: 0, version };
      joined.nodes.add(index);
      joined.budget = Math.max(joined.budget, decision.joins.plan.failureBudget);
      channel.joined.set(decision.joins.id, joined);
    }
    node.history = bookGrant(node.history, {
      ...cycle,
      ...(decision.joins && { joins: decision.joins }),
      releaseDigest,
      version,
      atSeconds,
    });
    if (node.running !== releaseDigest) node.given.push(releaseDigest);
    node.running = releaseDigest;
  }

  function report(index: number): void {
    const node = nodes[index];
    const releaseDigest = node?.running;
    const record = releaseDigest === undefined ? undefined : node?.history.releases.get(releaseDigest);
    if (node === undefined || record === undefined) return;
    node.history = bookHealth(node.history, {
      resetCount: node.resetCount,
      restartCount: 0,
      releaseDigest: record.releaseDigest,
      health: on.isGood(record.version, index) ? 'healthy' : 'unhealthy',
      atSeconds: channel.nowSeconds,
    });
  }

  function wait(seconds: number): void {
    channel.nowSeconds += seconds;
    const { state, nowSeconds } = channel;
    if (state.mode !== 'slots') return;
    const now = { atSeconds: nowSeconds, judgedSinceSeconds: state.slotsSinceSeconds };
    for (const node of nodes) node.history = bookSilence(node.history, state.health, now);
    const rollout = openRollout(state);
    if (rollout === undefined) return;
    const isListed = channel.listed.some(({ listing }) => listing.sha256 === rollout.releaseDigest);
    const advanced = advanceRollout(rollout, { tally: tallyFor(rollout), isListed, nowSeconds });
    if (advanced !== rollout) channel.state = applyAdvance(state, advanced, nowSeconds);
  }

  function perform(act: Act): void {
    const { nowSeconds: atSeconds } = channel;
    switch (act.do) {
      case 'boot':
        boot(act.node, true);
        return;
      case 'boot-again':
        boot(act.node, false);
        return;
      case 'report':
        report(act.node);
        return;
      case 'wait':
        wait(act.seconds);
        return;
      case 'publish':
        if (channel.listed.every(({ listing }) => listing.version !== act.version))
          channel.listed = [...channel.listed, releaseOf(act.version)];
        return;
      case 'withdraw':
        channel.listed = channel.listed.filter(({ listing }) => listing.version !== act.version);
        return;
      case 'command':
        rollouts += 1;
        channel.state = applyCommand(channel.state, act.command, {
          listed: channel.listed,
          atSeconds,
          rolloutId: `r-${rollouts}`,
        });
        return;
      case 'pin': {
        const node = nodes[act.node];
        const pin = releaseOf(act.version).listing.sha256;
        if (node) node.history = { ...node.history, pin };
        return;
      }
      case 'retry': {
        const node = nodes[act.node];
        if (node) node.history = forgetFailures(node.history);
        return;
      }
      case 'unpin': {
        const node = nodes[act.node];
        if (node === undefined) return;
        const { pin: _, ...unpinned } = node.history;
        node.history = unpinned;
        return;
      }
    }
  }

  return channel;
}
