import type { ChannelState } from './channel.ts';
import type { NodeHistory } from './node-releases.ts';
import type { ReleaseEvent } from './release-events.ts';
import type { Rollout, RolloutTally } from './rollout.ts';

/** The last words of a node about one of its boots: what its checks said, or its console before it died. */
export interface BootReport {
  readonly atSeconds: number;
  /** Printable text, bounded by whoever took it in. */
  readonly text: string;
}

/**
 * Slots, rollouts, and what nodes went through. Every write is one durable transaction with its events, conditional on
 * what it was decided from: of two requests that decide at one time, one writes, and the other hears
 * `moved` and decides again.
 */
export interface ChannelStore {
  /** Those that were ever told anything; all others follow the newest release. */
  listChannels(): Promise<ChannelState[]>;
  /** A channel that nobody ever told anything is as {@link createChannel} makes it. */
  findChannel(channel: string): Promise<ChannelState>;
  /** `moved` when the channel is not at the revision of `before` any more. */
  saveChannel(change: {
    before: ChannelState;
    after: ChannelState;
    events: readonly ReleaseEvent[];
    atSeconds: number;
  }): Promise<'saved' | 'moved'>;

  /** Of a node without any: an empty one. */
  findHistory(nodeId: string): Promise<NodeHistory>;
  /** Every enrolled node of the channel. */
  listHistories(channel: string): Promise<NodeHistory[]>;
  /** Nodes with a boot that was granted between these moments and never reported on. */
  listSilent(query: {
    channel: string;
    grantedSinceSeconds: number;
    grantedBeforeSeconds: number;
    limit: number;
  }): Promise<string[]>;
  /** How the other nodes stand with this rollout; without the cohort, which takes a look at every node. */
  countTrying(query: {
    channel: string;
    rollout: Rollout;
    exceptNodeId: string;
  }): Promise<Pick<RolloutTally, 'open' | 'away' | 'failed'>>;
  /** Nodes that joined it and are gone (not enrolled any more, or in another channel) before they were healthy. */
  countDeparted(query: { channel: string; rollout: Rollout }): Promise<number>;
  /** The groups that enrolled nodes of this channel are in. */
  listGroups(channel: string): Promise<string[]>;
  /**
   * Replaces what changed between `before` and `after`. `moved` when the node's history is not `before` any more, when
   * the channel has left this revision, or when the rollout that the node joins has no room left.
   */
  saveHistory(change: {
    before: NodeHistory;
    after: NodeHistory;
    channel: ChannelState;
    joins?: Rollout;
    report?: BootReport & { releaseDigest: string };
    events: readonly ReleaseEvent[];
    atSeconds: number;
  }): Promise<'saved' | 'moved'>;
  /**
   * Removes what nodes went through with any other release that they last booted before this moment.
   *
   * @returns how many records
   */
  forgetReleases(query: { except: ReadonlySet<string>; bootedBeforeSeconds: number }): Promise<number>;
  /** By release digest. */
  listReports(nodeId: string): Promise<ReadonlyMap<string, BootReport>>;
  /** Of the nodes that took part, by node; of each report its last characters only. */
  listReportEnds(query: {
    rollout: Pick<Rollout, 'id' | 'releaseDigest'>;
    maxCharacters: number;
  }): Promise<ReadonlyMap<string, BootReport>>;
  /** Digests of the releases that nodes are pinned to, or have an open grant for. */
  listReleasesInUse(nowSeconds: number): Promise<string[]>;
}
