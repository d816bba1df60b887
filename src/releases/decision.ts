import type { Release } from './catalog.ts';
import { newestRelease } from './catalog.ts';
import {
  type ChannelState,
  otherSlot,
  type SlotContent,
  type SlotName,
  type SlottedChannel,
} from './channel.ts';
import { experienceOf, type NodeHistory } from './node-releases.ts';
import { isInCohort, isOpen, type Rollout, type RolloutTally, roomIn } from './rollout.ts';

export type DecisionCode =
  | 'pinned'
  | 'pin-not-listed'
  | 'newest-listed'
  | 'nothing-listed'
  | 'slots-empty'
  | 'active-slot'
  | 'active-slot-not-listed'
  | 'rollout-joins'
  | 'rollout-moved'
  | 'rollout-not-yet'
  | 'rollout-no-room'
  | 'rollout-not-running'
  | 'rollout-not-listed'
  | 'given-up'
  | 'fell-back'
  | 'last-resort';

export interface DecisionReason {
  readonly code: DecisionCode;
  /** For a person. */
  readonly message: string;
}

export interface Decision {
  /** Absent when there is nothing that this node may boot. */
  readonly release?: Release;
  readonly slot?: SlotName;
  /** The node joins the rollout with this boot: good only while there is still room. */
  readonly joins?: Rollout;
  /** Why this one, and why not another that would have come first; the one that decided is the last. */
  readonly reasons: readonly DecisionReason[];
}

export interface DecisionInput {
  readonly channel: ChannelState;
  /** What the channel's metadata list now, with every artifact in place. */
  readonly listed: readonly Release[];
  /** With its returns and silences booked. */
  readonly node: NodeHistory;
  /** Of the rollout, the node itself not counted. */
  readonly tally: Pick<RolloutTally, 'open' | 'away' | 'failed'>;
}

/**
 * What does this node get now, and why. Pure: the same input gives the same answer.
 *
 * It gives only what is listed. A node leaves a release for the other slot after its tries, and does not come back to
 * it before it was healthy there once more or an operator forgot its failures; so it changes a bounded number of
 * times. Whoever tries a rollout's release counts against the failure budget until it has reported.
 */
export function decideRelease(input: DecisionInput): Decision {
  const pinned = decidePinned(input);
  if (pinned.release !== undefined) return pinned;
  const decided = input.channel.mode === 'follow' ? followed(input) : fromSlots(input, input.channel);
  return { ...decided, reasons: [...pinned.reasons, ...decided.reasons] };
}

function decidePinned({ node, listed }: DecisionInput): Decision {
  if (node.pin === undefined) return { reasons: [] };
  const release = findListed(listed, node.pin);
  if (release === undefined)
    return because('pin-not-listed', 'the release that this node is pinned to is not listed any more');
  return give(release, because('pinned', `pinned to version ${release.listing.version} by an operator`));
}

function followed({ listed, channel }: DecisionInput): Decision {
  const release = newestRelease(listed);
  if (release === undefined)
    return because('nothing-listed', `channel ${channel.channel} lists no release: publish one`);
  return give(
    release,
    because('newest-listed', `version ${release.listing.version} is the newest that is listed`),
  );
}

function fromSlots(input: DecisionInput, channel: SlottedChannel): Decision {
  const moved = decideRollout(input, channel);
  if (moved.release !== undefined) return moved;
  const base = decideBase(input, channel);
  return { ...base, reasons: [...moved.reasons, ...base.reasons] };
}

/** No release when the node is not, or no longer, on the way to the rollout's release. */
function decideRollout(input: DecisionInput, channel: SlottedChannel): Decision {
  const { rollout } = channel;
  if (rollout === undefined || !isOpen(rollout)) return { reasons: [] };
  const { node, listed, tally } = input;
  const release = findListed(listed, rollout.releaseDigest);
  const version = `version ${rollout.version}`;
  if (release === undefined) return because('rollout-not-listed', `${version} is not listed any more`);
  const target = { release, slot: otherSlot(channel.active) };
  const known = node.releases.get(rollout.releaseDigest);
  const record = known?.rolloutId === rollout.id ? known : undefined;
  const experience = record && experienceOf(record, channel.health);
  if (experience === 'failed')
    return because(
      'given-up',
      `${version} failed here ${record?.failedTries} times: back to the active slot`,
    );
  if (experience === 'healthy')
    return { ...target, ...because('rollout-moved', `${version} is healthy here`) };
  if (rollout.state === 'halted')
    return because('rollout-not-running', `the rollout of ${version} is halted`);
  if (experience === 'trying')
    return { ...target, ...because('rollout-moved', `${version} was begun here, and has tries left`) };
  if (rollout.state === 'paused')
    return because('rollout-not-running', `the rollout of ${version} is paused`);
  if (!isInCohort(rollout, node))
    return because('rollout-not-yet', `it is not this node's turn in the rollout of ${version}`);
  if (roomIn(rollout, tally) === 0)
    return because(
      'rollout-no-room',
      `as many nodes try ${version} as its failure budget and concurrency allow`,
    );
  return {
    ...target,
    joins: rollout,
    ...because('rollout-joins', `it is this node's turn to try ${version}`),
  };
}

interface Candidate {
  release: Release;
  /** Absent for what no slot holds any more. */
  slot?: SlotName;
}

/**
 * The active slot's release; after its tries the other slot's, if that was active once; then what was in that before
 * another release was staged.
 */
function decideBase({ node, listed }: DecisionInput, channel: SlottedChannel): Decision {
  const { active } = channel;
  const first = candidateOf(channel.slots[active], listed, active);
  const other = channel.slots[otherSlot(active)];
  const second = isFallback(other) ? candidateOf(other, listed, otherSlot(active)) : undefined;
  const third = candidateOf(channel.previous, listed);
  const candidates = [first, second, third].filter((candidate) => candidate !== undefined);
  if (candidates.length === 0) return nothing(channel);
  const usable = candidates.find(({ release }) => !hasGivenUp(node, release, channel));
  if (usable === undefined) return lastResort(candidates, node, channel);
  const version = `version ${usable.release.listing.version}`;
  if (usable.slot === active)
    return { ...usable, ...because('active-slot', `${version} is in the active slot ${active}`) };
  const why =
    first === undefined
      ? `the active slot's release is not listed any more: ${version} was active before`
      : `version ${first.release.listing.version} failed here ${channel.health.maxTries} times: ${version} was active before`;
  return { ...usable, ...because(first === undefined ? 'active-slot-not-listed' : 'fell-back', why) };
}

/** A power cut in a boot costs a try as well as a bad release does: each slot gets its tries this many times over. */
const LAST_RESORT_ROUNDS = 3;

/**
 * All have failed here. Whichever failed less often, the active slot first; after a few rounds where it was well last,
 * for ever: alternating mends nothing then.
 */
function lastResort(
  candidates: readonly Candidate[],
  node: NodeHistory,
  { health }: SlottedChannel,
): Decision {
  const rested = candidates.filter(
    ({ release }) => failedTries(node, release) < health.maxTries * LAST_RESORT_ROUNDS,
  );
  const best =
    rested.length > 0
      ? lowest(rested, ({ release }) => failedTries(node, release))
      : lowest(candidates, ({ release }) => -lastHealthy(node, release));
  if (best === undefined) return { reasons: [] };
  const { version } = best.release.listing;
  return {
    ...best,
    ...because('last-resort', `no slot's release is healthy here: trying version ${version} once more`),
  };
}

/** The first of those for which it is lowest. */
function lowest(candidates: readonly Candidate[], of: (candidate: Candidate) => number) {
  return candidates.reduce<Candidate | undefined>(
    (best, candidate) => (best === undefined || of(candidate) < of(best) ? candidate : best),
    undefined,
  );
}

function failedTries(node: NodeHistory, { listing }: Release): number {
  return node.releases.get(listing.sha256)?.failedTries ?? 0;
}

function nothing({ channel, slots }: SlottedChannel): Decision {
  if (slots.A === undefined && slots.B === undefined)
    return because('slots-empty', `both slots of channel ${channel} are empty: stage a release`);
  return because(
    'nothing-listed',
    `what the slots of channel ${channel} hold is not listed any more: stage a release`,
  );
}

function candidateOf(
  content: SlotContent | undefined,
  listed: readonly Release[],
  slot?: SlotName,
): Candidate | undefined {
  const release = content && findListed(listed, content.releaseDigest);
  return release && { release, ...(slot && { slot }) };
}

function isFallback(content: SlotContent | undefined): boolean {
  return content?.activatedAtSeconds !== undefined;
}

function hasGivenUp(node: NodeHistory, { listing }: Release, { health }: SlottedChannel): boolean {
  const record = node.releases.get(listing.sha256);
  return record !== undefined && experienceOf(record, health) === 'failed';
}

function lastHealthy(node: NodeHistory, { listing }: Release): number {
  return node.releases.get(listing.sha256)?.healthyAtSeconds ?? 0;
}

function findListed(listed: readonly Release[], digest: string): Release | undefined {
  return listed.find(({ listing }) => listing.sha256 === digest);
}

function give(release: Release, { reasons }: Decision): Decision {
  return { release, reasons };
}

function because(code: DecisionCode, message: string): Decision {
  return { reasons: [{ code, message }] };
}
