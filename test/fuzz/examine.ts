import { inspect, isDeepStrictEqual } from 'node:util';
import { getHeapStatistics } from 'node:v8';
import { CodedError } from '../../src/core/errors.ts';
import type { PreparedTarget } from './target.ts';

export const MAX_INPUT_BYTES = 64 * 1024;
/** For any input up to {@link MAX_INPUT_BYTES}. CPU time, since the machine may be busy with others. */
export const MAX_CPU_MS = 250;
export const MAX_MEMORY_BYTES = 64 * 1024 * 1024;
/** Codes and messages are answered and logged: an attacker must not decide how long they are. */
export const MAX_MESSAGE_LENGTH = 1024;

const MARGIN = 128;
/** Text to one reader, nothing to the other: who reads beyond the input sees two different worlds. */
const POISONS = [0x41, 0xff] as const;
/** What our own code never throws on purpose, whatever it is wrapped into. */
const FAULTS =
  /Cannot (?:read|set|mix|convert|destructure)|is not (?:a function|iterable|defined|a constructor)|undefined|call stack|Invalid (?:array|typed array|string|count|date|time)|out of (?:range|bounds)|before initialization/;

type Outcome = { value: unknown } | { thrown: unknown };

/** Looks at one input in all ways; the sentence tells what is wrong, undefined that nothing is. */
export async function examine(target: PreparedTarget, input: Uint8Array): Promise<string | undefined> {
  const first = await observe(target, input, POISONS[0]);
  const second = await observe(target, input, POISONS[1]);
  const fault = faultOf(first.outcome) ?? faultOf(second.outcome);
  if (fault !== undefined) return fault;
  if (first.wrote || second.wrote) return 'it writes into its input or beside it';
  if (isOther(first, second)) {
    // What the surroundings decide, they decide again; what memory happens to hold, not.
    const again = await observe(target, input, POISONS[0]);
    const what = isOther(first, again) ? 'it has two outcomes for one input' : 'it reads beyond its input';
    return `${what}: ${inspect(comparable(first.outcome))} or ${inspect(comparable(second.outcome))}`;
  }
  // The better of two: collecting garbage and compiling are not the input's doing.
  const cpuMs = Math.min(first.cpuMs, second.cpuMs);
  if (cpuMs > MAX_CPU_MS) return `it takes ${Math.round(cpuMs)} ms of CPU time`;
  const memoryBytes = Math.min(first.memoryBytes, second.memoryBytes);
  if (memoryBytes > MAX_MEMORY_BYTES) return `it takes ${memoryBytes} bytes of memory`;
  return undefined;
}

function isOther(one: { outcome: Outcome }, other: { outcome: Outcome }): boolean {
  return !isDeepStrictEqual(comparable(one.outcome), comparable(other.outcome));
}

async function observe(target: PreparedTarget, input: Uint8Array, poison: number) {
  const surroundings = new Uint8Array(input.length + 2 * MARGIN).fill(poison);
  // An odd offset, which no aligned view would survive.
  const start = MARGIN + 1;
  surroundings.set(input, start);
  const before = new Uint8Array(surroundings);
  const memoryBefore = memoryInUse();
  const cpuBefore = process.threadCpuUsage();
  const outcome = await run(target, surroundings.subarray(start, start + input.length));
  const { user, system } = process.threadCpuUsage(cpuBefore);
  return {
    outcome,
    cpuMs: (user + system) / 1000,
    memoryBytes: memoryInUse() - memoryBefore,
    wrote: Buffer.compare(before, surroundings) !== 0,
  };
}

async function run(target: PreparedTarget, input: Uint8Array): Promise<Outcome> {
  try {
    return { value: await target.examine(input) };
  } catch (thrown) {
    return { thrown };
  }
}

function memoryInUse(): number {
  const { used_heap_size, external_memory } = getHeapStatistics();
  return used_heap_size + external_memory;
}

/** An uncoded error, an overlong one, or a coded one that only covers up a crash. */
function faultOf(outcome: Outcome): string | undefined {
  if ('value' in outcome) return undefined;
  const { thrown } = outcome;
  if (!(thrown instanceof CodedError)) return `it throws ${describe(thrown)}`;
  if (thrown.message.length > MAX_MESSAGE_LENGTH)
    return `its message has ${thrown.message.length} characters: ${thrown.message.slice(0, 80)}`;
  for (let cause = thrown.cause; cause instanceof Error; cause = cause.cause)
    if (isCrash(cause)) return `${thrown.code} covers up ${describe(cause)}`;
  return undefined;
}

function isCrash(error: Error): boolean {
  if (error instanceof RangeError || error instanceof ReferenceError) return true;
  return error instanceof TypeError && FAULTS.test(error.message);
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}

function comparable(outcome: Outcome): unknown {
  if ('value' in outcome) return outcome;
  const { thrown } = outcome;
  return thrown instanceof CodedError ? { code: thrown.code, message: thrown.message } : thrown;
}
