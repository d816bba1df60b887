import { setImmediate as yieldToOthers } from 'node:timers/promises';
import type { EventRetention } from '../../attestation/event-store.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import type { Config } from '../config.ts';

const DAY_SECONDS = 86_400;
/** In one transaction, while which others wait. */
const AT_ONCE = 1000;

/**
 * Forgets events that are older than the configuration wants them, and the oldest of those that are too many.
 *
 * @returns how many
 */
export async function forgetOldEvents(on: {
  eventStore: EventRetention;
  config: Pick<Config, 'events'>;
  clock: Clock;
}): Promise<number> {
  const { keptDays, keptCount } = on.config.events;
  const beforeSeconds = secondsOf(on.clock) - keptDays * DAY_SECONDS;
  let forgotten = 0;
  for (;;) {
    const count = await on.eventStore.forgetEvents({ beforeSeconds, keptCount, limit: AT_ONCE });
    forgotten += count;
    if (count < AT_ONCE) return forgotten;
    await yieldToOthers();
  }
}
