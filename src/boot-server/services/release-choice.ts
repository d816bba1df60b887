import { type Clock, secondsOf } from '../../core/clock.ts';
import { listedReleases, type Release } from '../../releases/catalog.ts';
import { type ChannelState, openRollout } from '../../releases/channel.ts';
import type { ChannelStore } from '../../releases/channel-store.ts';
import { type Decision, decideRelease } from '../../releases/decision.ts';
import {
  bookGrant,
  bookHealth,
  bookReturn,
  DEFAULT_HEALTH_RULES,
  type HealthRules,
  type NodeHistory,
  type PowerCycle,
} from '../../releases/node-releases.ts';
import { historyEvents } from '../../releases/release-events.ts';
import { Problem } from '../problems.ts';
import type { RepositoryService } from './repository.ts';

interface Booter {
  nodeId: string;
  channel: string;
  /** Of the accepted evidence. */
  cycle: PowerCycle;
  /** What the node had to say of the boot before this one, or of this one. */
  report?: string;
}

export interface ReleaseChoice {
  /**
   * What this node boots now, after its boot has been booked: a durable write that comes before the grant. A crash
   * between the two leaves a boot that nobody heard of; the node asks again in the same power cycle and gets the same.
   *
   * @throws {Problem} `no-release`
   */
  choose(booter: Booter): Promise<Release & { decision: Decision }>;
  /** What it would get if it came back now; nothing is booked. */
  preview(node: Pick<Booter, 'nodeId' | 'channel'>): Promise<Decision>;
  /** What the running system of a boot says of itself; nothing when it was not booted by a choice of ours. */
  bookHealth(report: Booter & { releaseDigest: string; health: 'healthy' | 'unhealthy' }): Promise<void>;
}

export function createReleaseChoice(on: {
  channels: ChannelStore;
  repository: Pick<RepositoryService, 'current'>;
  clock: Clock;
}): ReleaseChoice {
  async function decide(channel: ChannelState, node: NodeHistory): Promise<Decision> {
    const rollout = openRollout(channel);
    const listed = listedReleases(on.repository.current()?.catalog, channel.channel);
    const tally = rollout
      ? await on.channels.countTrying({ channel: channel.channel, rollout, exceptNodeId: node.nodeId })
      : { open: 0, away: 0, failed: 0 };
    return decideRelease({ channel, listed, node, tally });
  }

  const choice: ReleaseChoice = {
    async choose(booter) {
      const { nodeId, cycle, report } = booter;
      const atSeconds = secondsOf(on.clock);
      const channel = await on.channels.findChannel(booter.channel);
      const before = await on.channels.findHistory(nodeId);
      const returned = returnTo(channel, before, { ...cycle, atSeconds });
      const decision = await decide(channel, returned);
      const { release, joins } = decision;
      const after = release
        ? bookGrant(returned, {
            ...cycle,
            ...(joins && { joins }),
            releaseDigest: release.listing.sha256,
            version: release.listing.version,
            atSeconds,
          })
        : returned;
      const reported = report === undefined ? undefined : lastBooted(before, cycle);
      const outcome = await on.channels.saveHistory({
        before,
        after,
        channel,
        ...(joins && { joins }),
        ...(report !== undefined &&
          reported !== undefined && { report: { releaseDigest: reported, text: report, atSeconds } }),
        events: historyEvents(before, after, rulesOf(channel)),
        atSeconds,
      });
      // Another request or an operator went first: a step forward for somebody each time, so this ends.
      if (outcome === 'moved') return choice.choose(booter);
      if (release === undefined)
        throw new Problem('no-release', decision.reasons.map(({ message }) => message).join('; '));
      return { ...release, decision };
    },

    async preview({ nodeId, channel: name }) {
      const channel = await on.channels.findChannel(name);
      const history = await on.channels.findHistory(nodeId);
      return decide(
        channel,
        returnTo(channel, history, { ...ANOTHER_CYCLE, atSeconds: secondsOf(on.clock) }),
      );
    },

    async bookHealth({ nodeId, channel: name, cycle, releaseDigest, health, report }) {
      const atSeconds = secondsOf(on.clock);
      const channel = await on.channels.findChannel(name);
      const before = await on.channels.findHistory(nodeId);
      const after = bookHealth(before, { ...cycle, releaseDigest, health, atSeconds });
      if (after === before) return;
      const outcome = await on.channels.saveHistory({
        before,
        after,
        channel,
        ...(report !== undefined && { report: { releaseDigest, text: report, atSeconds } }),
        events: historyEvents(before, after, rulesOf(channel)),
        atSeconds,
      });
      if (outcome === 'moved')
        await choice.bookHealth({
          nodeId,
          channel: name,
          cycle,
          releaseDigest,
          health,
          ...(report !== undefined && { report }),
        });
    },
  };
  return choice;
}

/** TPM counters begin at 0: like no boot that there was. */
const ANOTHER_CYCLE: PowerCycle = { resetCount: -1, restartCount: -1 };

export function rulesOf(channel: ChannelState): HealthRules {
  return channel.mode === 'slots' ? channel.health : DEFAULT_HEALTH_RULES;
}

/** Nobody judges releases in a channel that follows the newest, nor boots from when it did. */
function returnTo(
  channel: ChannelState,
  history: NodeHistory,
  now: PowerCycle & { atSeconds: number },
): NodeHistory {
  if (channel.mode === 'follow') return history;
  return bookReturn(history, { ...now, judgedSinceSeconds: channel.slotsSinceSeconds });
}

/** The release that a console's last lines are about: of a boot before this one. */
function lastBooted({ releases }: NodeHistory, now: PowerCycle): string | undefined {
  const earlier = [...releases.values()].filter(
    ({ lastBoot }) => lastBoot.resetCount !== now.resetCount || lastBoot.restartCount !== now.restartCount,
  );
  const latest = earlier.toSorted((a, b) => b.lastBoot.grantedAtSeconds - a.lastBoot.grantedAtSeconds)[0];
  return latest?.releaseDigest;
}
