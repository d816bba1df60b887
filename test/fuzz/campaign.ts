import type { CoverageFeedback } from './coverage.ts';
import { examine, MAX_INPUT_BYTES } from './examine.ts';
import { mutateBytes } from './mutate-bytes.ts';
import { mutateJson } from './mutate-json.ts';
import type { Random } from './random.ts';
import type { FuzzTarget, PreparedTarget } from './target.ts';

export interface Finding {
  readonly input: Uint8Array;
  readonly what: string;
}

export interface CampaignResult {
  /** Seeds and mutations that were examined. */
  readonly executions: number;
  /** Inputs that mutations start from: the seeds, and what reached new code. */
  readonly corpusSize: number;
  readonly finding?: Finding;
}

interface Options {
  target: FuzzTarget;
  random: Random;
  durationMs: number;
  coverage?: CoverageFeedback;
  /** Sees each input before it is tried, in case that it never ends. */
  onInput?: (input: Uint8Array) => void;
}

/** Asking for coverage costs a millisecond and more: it is asked for so many inputs at once. */
const BATCH = 128;

/** Feeds a target with its seeds, then with mutations of them, until time is over or something is found. */
export async function runCampaign(options: Options): Promise<CampaignResult> {
  const { target, random, durationMs, coverage } = options;
  const prepared = await target.prepare();
  const corpus = prepared.seeds.filter(({ length }) => length <= MAX_INPUT_BYTES);
  if (corpus.length === 0) throw new Error(`${target.name} has no seeds`);
  const deadline = performance.now() + durationMs;
  let executions = 0;
  const tryOne = (input: Uint8Array): Promise<string | undefined> => {
    options.onInput?.(input);
    executions += 1;
    return examine(prepared, input);
  };
  for (const input of corpus) {
    const what = await tryOne(input);
    if (what !== undefined) return { executions, corpusSize: corpus.length, finding: { input, what } };
  }
  coverage?.keep(coverage.newlyReached() ?? []);
  while (performance.now() < deadline) {
    const batch: Uint8Array[] = [];
    while (batch.length < BATCH && performance.now() < deadline) {
      const input = mutate(target, random, corpus);
      const what = await tryOne(input);
      if (what !== undefined) return { executions, corpusSize: corpus.length, finding: { input, what } };
      batch.push(input);
    }
    if (coverage !== undefined) corpus.push(...(await narrow(prepared, batch, coverage)));
  }
  return { executions, corpusSize: corpus.length };
}

function mutate({ format }: FuzzTarget, random: Random, corpus: readonly Uint8Array[]): Uint8Array {
  const pick = () => corpus[random.below(corpus.length)] ?? new Uint8Array(0);
  const mutateOne = format === 'json' ? mutateJson : mutateBytes;
  return mutateOne(pick(), random, pick()).subarray(0, MAX_INPUT_BYTES);
}

/** Which inputs of a batch that just ran reached new code: halves run again until single ones are left. */
async function narrow(
  prepared: PreparedTarget,
  batch: readonly Uint8Array[],
  coverage: CoverageFeedback,
): Promise<readonly Uint8Array[]> {
  const novelty = coverage.newlyReached();
  if (novelty === undefined) return [];
  const found: Uint8Array[] = [];
  const middle = batch.length >> 1;
  for (const half of batch.length > 1 ? [batch.slice(0, middle), batch.slice(middle)] : []) {
    for (const input of half) await examine(prepared, input);
    found.push(...(await narrow(prepared, half, coverage)));
  }
  // What no half reaches alone would be looked for again and again.
  coverage.keep(novelty);
  return found.length === 0 && batch.length === 1 ? batch : found;
}
