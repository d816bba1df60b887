import type { AppraisalInput } from '../../attestation/appraisal.ts';
import type { Logger } from '../logger.ts';
import { Problem } from '../problems.ts';
import type { Verification, VerificationOutcome } from './verification.ts';
import {
  THREAD_LIMITS,
  type ThreadLimits,
  VerificationThread,
  WORKER_PROGRAM,
} from './verification-thread.ts';

export interface VerificationWorkers extends Verification {
  readonly counters: Readonly<{ turnedAway: number }>;
}

/**
 * The time that evidence takes grows with its size, so the queue is bounded by bytes: what waits is decided
 * on within seconds, also when all of it is hostile.
 */
const MAX_WAITING_BYTES = 32 * 1024 * 1024;
/** Everything but the event log, generously. */
const BASE_BYTES = 16 * 1024;

interface Request {
  input: AppraisalInput;
  outcome: PromiseWithResolvers<VerificationOutcome>;
}

/** Decides in threads of their own, first come first served, so that the event loop stays free to answer. */
export function createVerificationWorkers(on: {
  threads: number;
  logger: Logger;
  limits?: ThreadLimits;
  maxWaitingBytes?: number;
  program?: URL;
}): VerificationWorkers {
  const { threads: count, logger, limits = THREAD_LIMITS, program = WORKER_PROGRAM } = on;
  const { maxWaitingBytes = MAX_WAITING_BYTES } = on;
  const threads = Array.from({ length: count }, () => new VerificationThread({ logger, limits, program }));
  const free = [...threads];
  const counters = { turnedAway: 0 };
  let waiting: Request[] = [];
  let stopped = false;

  function work(thread: VerificationThread, { input, outcome }: Request): void {
    const decision = thread.decide(input);
    outcome.resolve(decision);
    void Promise.allSettled([decision]).then(() => giveWorkTo(thread));
  }

  /** The thread that was busy last goes first, so that what is not needed falls idle and ends. */
  function giveWorkTo(thread: VerificationThread): void {
    const next = waiting.shift();
    if (next === undefined) free.push(thread);
    else work(thread, next);
  }

  function wait(request: Request): void {
    const bytes = [request, ...waiting].reduce((sum, { input }) => sum + sizeOf(input), 0);
    if (bytes > maxWaitingBytes) {
      counters.turnedAway += 1;
      throw new Problem('too-many-requests', 'too much evidence waits: send it again in a few seconds', {
        headers: { 'retry-after': '5' },
      });
    }
    waiting.push(request);
  }

  return {
    counters,
    async appraise(input) {
      if (stopped) throw stopping();
      const request = { input, outcome: Promise.withResolvers<VerificationOutcome>() };
      const thread = free.pop();
      if (thread === undefined) wait(request);
      else work(thread, request);
      return request.outcome.promise;
    },
    async stop() {
      stopped = true;
      for (const { outcome } of waiting) outcome.reject(stopping());
      waiting = [];
      await Promise.all(threads.map((thread) => thread.stop()));
    },
  };
}

function sizeOf({ untrustedEvidence }: AppraisalInput): number {
  return BASE_BYTES + (untrustedEvidence.eventLog?.length ?? 0);
}

function stopping(): Problem {
  return new Problem('not-ready', 'the server stops: try again when it is back', {
    headers: { 'retry-after': '10' },
  });
}
