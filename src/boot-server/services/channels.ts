import { toHex } from '../../core/bytes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RandomSource } from '../../core/random.ts';
import { listedReleases, type Release, requireListed } from '../../releases/catalog.ts';
import type { ChannelState, SlottedChannel } from '../../releases/channel.ts';
import { applyCommand, type ChannelCommand } from '../../releases/channel-command.ts';
import type { BootReport, ChannelStore } from '../../releases/channel-store.ts';
import { ReleaseError } from '../../releases/errors.ts';
import { forgetFailures, type NodeHistory } from '../../releases/node-releases.ts';
import { channelEvents, type ReleaseEvent } from '../../releases/release-events.ts';
import { describeWait, type RolloutTally } from '../../releases/rollout.ts';
import type { RolloutPlan } from '../../releases/rollout-plan.ts';
import { tallyOf } from '../../releases/tally.ts';
import type { RepositoryService } from './repository.ts';

const ROLLOUT_ID_BYTES = 8;
/** Of each node, in a list of all of them. */
const LAST_WORDS = 500;

/** A channel and what its keys list. */
export interface ChannelView {
  channel: ChannelState;
  listed: readonly Release[];
}

/** Of a rollout, as an operator sees it. */
export interface RolloutReport {
  channel: SlottedChannel;
  tally: RolloutTally;
  /** For a person. */
  waitsFor: string;
  /** Of the nodes that took part, and the end of what they said last. */
  nodes: { history: NodeHistory; report?: BootReport }[];
}

export type NodeChoice =
  | { kind: 'pin'; version: number }
  | { kind: 'unpin' | 'retry' }
  | { kind: 'group'; group: string | undefined };

/** What operators do to channels. Each call is decided on the channel as it is, and again when somebody was faster. */
export interface ChannelService {
  list(): Promise<ChannelView[]>;
  /** These throw {@link ReleaseError} `channel-unknown` for a channel that was never published. */
  find(name: string): Promise<ChannelView>;
  /** @throws {ReleaseError} saying what stands in the way; then nothing has changed */
  carryOut(name: string, command: ChannelCommand, reason?: string): Promise<ChannelView>;
  /** Undefined when the channel never had one. */
  reportRollout(name: string): Promise<RolloutReport | undefined>;
  /** @throws {ReleaseError} `release-not-listed` */
  changeNode(
    node: { id: string; channel: string },
    choice: NodeChoice,
    reason?: string,
  ): Promise<NodeHistory>;
}

export function createChannelService(on: {
  channels: ChannelStore;
  repository: Pick<RepositoryService, 'current'>;
  clock: Clock;
  random: RandomSource;
}): ChannelService {
  const listedIn = (name: string) => listedReleases(on.repository.current()?.catalog, name);

  /** One that is in the metadata, or was. */
  async function find(name: string): Promise<ChannelView> {
    const channel = await on.channels.findChannel(name);
    const isKnown = channel.revision > 0 || on.repository.current()?.catalog.releases.has(name);
    if (!isKnown)
      throw new ReleaseError('channel-unknown', `there is no channel ${name} in the published metadata`);
    return { channel, listed: listedIn(name) };
  }

  const service: ChannelService = {
    find,

    async list() {
      const known = await on.channels.listChannels();
      const published = [...(on.repository.current()?.catalog.releases.keys() ?? [])];
      const names = new Set([...published, ...known.map(({ channel }) => channel)]);
      return Promise.all([...names].sort().map(find));
    },

    async carryOut(name, command, reason) {
      const atSeconds = secondsOf(on.clock);
      const { channel: before, listed } = await find(name);
      if (command.kind === 'start-rollout')
        requireGroups(command.plan, await on.channels.listGroups(name), name);
      const rolloutId = toHex(on.random(ROLLOUT_ID_BYTES));
      const after = applyCommand(before, command, { listed, atSeconds, rolloutId });
      if (after === before) return { channel: after, listed };
      const events = withReason(channelEvents(before, after), reason);
      const outcome = await on.channels.saveChannel({ before, after, events, atSeconds });
      return outcome === 'moved' ? service.carryOut(name, command, reason) : { channel: after, listed };
    },

    async reportRollout(name) {
      const { channel } = await find(name);
      if (channel.mode === 'follow' || channel.rollout === undefined) return undefined;
      const { rollout, health } = channel;
      const histories = await on.channels.listHistories(name);
      const departed = await on.channels.countDeparted({ channel: name, rollout });
      const nowSeconds = secondsOf(on.clock);
      const tally = tallyOf(rollout, { histories, departed, health, nowSeconds });
      const waitsFor = describeWait(rollout, tally, nowSeconds);
      const took = histories.filter(
        ({ releases }) => releases.get(rollout.releaseDigest)?.rolloutId === rollout.id,
      );
      const reports = await on.channels.listReportEnds({ rollout, maxCharacters: LAST_WORDS });
      const nodes = took.map((history) => {
        const report = reports.get(history.nodeId);
        return { history, ...(report && { report }) };
      });
      return { channel, tally, waitsFor, nodes };
    },

    async changeNode(node, choice, reason) {
      const { channel, listed } = await find(node.channel);
      const before = await on.channels.findHistory(node.id);
      const { after, event } = applyChoice(before, choice, { listed, channel: node.channel });
      const outcome = await on.channels.saveHistory({
        before,
        after,
        channel,
        events: withReason([{ ...event, subject: node.id }], reason),
        atSeconds: secondsOf(on.clock),
      });
      return outcome === 'moved' ? service.changeNode(node, choice, reason) : after;
    },
  };
  return service;
}

/** A step that takes nobody in would pass with nothing tried. */
function requireGroups({ steps }: RolloutPlan, groups: readonly string[], channel: string): void {
  for (const step of steps)
    if (step.kind === 'group' && !groups.includes(step.group))
      throw new ReleaseError('plan-invalid', `no node of channel ${channel} is in group ${step.group}`);
}

function withReason(events: readonly ReleaseEvent[], reason: string | undefined): ReleaseEvent[] {
  return events.map((event) =>
    reason === undefined ? event : { ...event, detail: { ...event.detail, reason } },
  );
}

function applyChoice(
  history: NodeHistory,
  choice: NodeChoice,
  { listed, channel }: { listed: readonly Release[]; channel: string },
): { after: NodeHistory; event: Omit<ReleaseEvent, 'subject'> } {
  switch (choice.kind) {
    case 'pin': {
      const { sha256 } = requireListed(listed, channel, choice.version).listing;
      const detail = { version: String(choice.version) };
      return { after: { ...history, pin: sha256 }, event: { kind: 'node-pinned', detail } };
    }
    case 'unpin': {
      const { pin: _, ...after } = history;
      return { after, event: { kind: 'node-unpinned', detail: {} } };
    }
    case 'group': {
      const { group: _, ...ungrouped } = history;
      const after = choice.group === undefined ? ungrouped : { ...ungrouped, group: choice.group };
      return { after, event: { kind: 'node-group-changed', detail: { group: choice.group ?? '-' } } };
    }
    case 'retry':
      return { after: forgetFailures(history), event: { kind: 'node-retries', detail: {} } };
  }
}
