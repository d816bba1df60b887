import { setTimeout as delay } from 'node:timers/promises';

/** Waits for something that another process does; ten seconds at most. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; tries < 500; tries += 1) {
    if (condition()) return;
    await delay(20);
  }
  throw new Error('waited ten seconds in vain');
}
