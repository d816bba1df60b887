import { setImmediate as yieldToOthers } from 'node:timers/promises';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { findRelease } from '../../releases/catalog.ts';
import { type ChannelState, openRollout, type SlottedChannel } from '../../releases/channel.ts';
import type { ChannelStore } from '../../releases/channel-store.ts';
import { bookSilence } from '../../releases/node-releases.ts';
import { channelEvents, historyEvents } from '../../releases/release-events.ts';
import { advanceRollout, describeRollout } from '../../releases/rollout.ts';
import { applyAdvance } from '../../releases/rollout-commands.ts';
import { tallyOf } from '../../releases/tally.ts';
import type { Logger } from '../logger.ts';
import type { RepositoryService } from './repository.ts';

/** In one round; what is left has its turn in the next. */
const MAX_SILENT_PER_CHANNEL = 1000;

/**
 * What time does to rollouts: boots whose health window has passed have failed, and each running rollout goes a step
 * on, completes, or halts. Requests go on meanwhile: who was faster has decided, and the next round sees it.
 */
export async function progressRollouts(on: {
  channels: ChannelStore;
  repository: Pick<RepositoryService, 'current'>;
  /** Nobody could report to a server that did not run, or was set back. */
  answersSinceSeconds: number;
  clock: Clock;
  logger: Logger;
}): Promise<void> {
  // Before the first publication, and while the database is set back: nothing can be said of any release.
  if (on.repository.current() === undefined) return;
  for (const channel of await on.channels.listChannels()) {
    if (channel.mode !== 'slots') continue;
    await bookSilentBoots(channel, on);
    await progress(channel, on);
    await yieldToOthers();
  }
}

async function bookSilentBoots(
  channel: SlottedChannel,
  on: { channels: ChannelStore; answersSinceSeconds: number; clock: Clock; logger: Logger },
): Promise<void> {
  const { channels, clock, logger } = on;
  const atSeconds = secondsOf(clock);
  const { healthWindowSeconds } = channel.health;
  if (on.answersSinceSeconds + healthWindowSeconds > atSeconds) return;
  const judgedSinceSeconds = channel.slotsSinceSeconds;
  const silent = await channels.listSilent({
    channel: channel.channel,
    grantedSinceSeconds: judgedSinceSeconds,
    grantedBeforeSeconds: atSeconds - healthWindowSeconds,
    limit: MAX_SILENT_PER_CHANNEL,
  });
  for (const nodeId of silent) {
    const before = await channels.findHistory(nodeId);
    const after = bookSilence(before, channel.health, { atSeconds, judgedSinceSeconds });
    const events = historyEvents(before, after, channel.health);
    const outcome = await channels.saveHistory({ before, after, channel, events, atSeconds });
    if (outcome === 'saved') logger.warn({ nodeId }, 'a boot was not reported healthy in its window');
    await yieldToOthers();
  }
}

async function progress(
  channel: SlottedChannel,
  on: {
    channels: ChannelStore;
    repository: Pick<RepositoryService, 'current'>;
    answersSinceSeconds: number;
    clock: Clock;
    logger: Logger;
  },
): Promise<void> {
  const rollout = openRollout(channel);
  if (rollout?.state !== 'running') return;
  const nowSeconds = secondsOf(on.clock);
  const histories = await on.channels.listHistories(channel.channel);
  const departed = await on.channels.countDeparted({ channel: channel.channel, rollout });
  const { answersSinceSeconds } = on;
  const { health } = channel;
  const tally = tallyOf(rollout, { histories, departed, health, answersSinceSeconds, nowSeconds });
  const { releaseDigest } = rollout;
  const release = findRelease(on.repository.current()?.catalog, { channel: channel.channel, releaseDigest });
  const advanced = advanceRollout(rollout, { tally, isListed: release !== undefined, nowSeconds });
  if (advanced === rollout) return;
  const after: ChannelState = applyAdvance(channel, advanced, nowSeconds);
  const events = channelEvents(channel, after);
  const outcome = await on.channels.saveChannel({ before: channel, after, events, atSeconds: nowSeconds });
  if (outcome === 'moved') return;
  const words = describeRollout(advanced);
  if (advanced.state === 'halted') on.logger.error({ channel: channel.channel }, `rollout halted: ${words}`);
  else on.logger.info({ channel: channel.channel }, `rollout: ${words}`);
}
