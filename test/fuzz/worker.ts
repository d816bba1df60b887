// One target in a thread of its own, so that an input that never ends or eats all memory ends only this.
import { parentPort, workerData } from 'node:worker_threads';
import { runCampaign } from './campaign.ts';
import { startCoverage } from './coverage.ts';
import { createRandom, seedOf } from './random.ts';
import { targetNamed } from './targets.ts';
import { createCurrentInput } from './watch.ts';

export interface WorkerTask {
  readonly name: string;
  readonly seed: number;
  readonly durationMs: number;
  readonly memory: SharedArrayBuffer;
}

const { name, seed, durationMs, memory } = workerData as WorkerTask;
const current = createCurrentInput(memory);
const coverage = startCoverage();
const result = await runCampaign({
  target: targetNamed(name),
  random: createRandom(seedOf(seed, name)),
  durationMs,
  coverage,
  onInput: current.write,
});
coverage.stop();
parentPort?.postMessage(result);
