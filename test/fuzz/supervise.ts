import { Worker } from 'node:worker_threads';
import { messageOf } from '../../src/core/errors.ts';
import type { CampaignResult } from './campaign.ts';
import { createCurrentInput } from './watch.ts';
import type { WorkerTask } from './worker.ts';

/** No input may keep a thread this long; the limit for good inputs is far lower (examine.ts). */
const HANG_MS = 20_000;
const HEAP_MB = 512;

/** Runs one target's campaign in a worker; what kills the worker is a finding like any other. */
export function superviseCampaign(task: Omit<WorkerTask, 'memory'>): Promise<CampaignResult> {
  const current = createCurrentInput();
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: { ...task, memory: current.memory } satisfies WorkerTask,
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB },
  });
  const { promise, resolve } = Promise.withResolvers<CampaignResult>();
  const fail = (what: string) =>
    resolve({ executions: current.count(), corpusSize: 0, finding: { input: current.read(), what } });
  const watch = setInterval(
    watchFor(current.count, () => fail(`it runs for more than ${HANG_MS} ms`)),
    1000,
  );
  worker.once('message', resolve);
  worker.once('error', (error) => fail(`it ends the thread: ${messageOf(error)}`));
  return promise.finally(() => {
    clearInterval(watch);
    return worker.terminate();
  });
}

/** Calls when the count has stood still for too long. */
function watchFor(count: () => number, onHang: () => void): () => void {
  let last = -1;
  let since = performance.now();
  return () => {
    const now = performance.now();
    if (count() !== last) since = now;
    last = count();
    if (now - since > HANG_MS) onHang();
  };
}
