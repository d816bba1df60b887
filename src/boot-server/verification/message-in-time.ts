import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';

const MAX_WINDOWS = 10;
/** Of a window: who used less of it was kept from working by others. */
const BUSY_SHARE = 0.5;

interface Window {
  ms: number;
  signal: AbortSignal;
}

/**
 * The next message of a thread that has this long for it. Threads have a low priority, so on a busy machine the clock
 * says little of how long one has worked: when the time has passed, its own CPU time is looked at over another window
 * of that length. While it is starved it is waited for, ten windows in all.
 *
 * @throws when the thread dies or has had its time
 */
export async function messageInTime(worker: Worker, windowMs: number): Promise<unknown> {
  const over = new AbortController();
  const window = { ms: windowMs, signal: over.signal };
  const message = once(worker, 'message', { signal: over.signal }).then(([value]) => ({ value }));
  try {
    let outcome: { value: unknown } | 'passed' | 'used-up' = await Promise.race([message, pass(window)]);
    for (let windows = 1; outcome === 'passed' && windows < MAX_WINDOWS; windows += 1)
      outcome = await Promise.race([message, spend(worker, window)]);
    if (typeof outcome === 'string') throw new Error('the thread did not answer in time');
    return outcome.value;
  } finally {
    over.abort();
  }
}

function pass({ ms, signal }: Window): Promise<'passed'> {
  return delay(ms, 'passed' as const, { signal, ref: false });
}

/** `used-up` also when the thread does not say what it used, which one that spins does. */
async function spend(worker: Worker, window: Window): Promise<'passed' | 'used-up'> {
  const before = await Promise.race([worker.cpuUsage(), pass(window)]);
  if (before === 'passed') return 'used-up';
  await pass(window);
  const used = await Promise.race([worker.cpuUsage(before), pass(window)]);
  if (used === 'passed') return 'used-up';
  return (used.user + used.system) / 1000 < window.ms * BUSY_SHARE ? 'passed' : 'used-up';
}
