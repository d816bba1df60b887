import { once } from 'node:events';
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { AppraisalInput } from '../../attestation/appraisal.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../logger.ts';
import { messageInTime } from './message-in-time.ts';
import { failedVerification, type VerificationOutcome } from './verification.ts';

export interface ThreadLimits {
  /**
   * For one piece of evidence; the slowest that the size limits let in takes a small part of it. A thread that the
   * machine leaves no time gets it again, see `messageInTime`.
   */
  decideMs: number;
  startMs: number;
  /** An idle thread ends and gives its memory back. */
  idleMs: number;
  heapMegabytes: number;
}

export const THREAD_LIMITS: ThreadLimits = {
  decideMs: 2000,
  startMs: 10_000,
  idleMs: 60_000,
  heapMegabytes: 256,
};

/** The program of a thread: TypeScript in a checkout, JavaScript in the built package. */
export const WORKER_PROGRAM = new URL(`./verification-worker${extname(import.meta.url)}`, import.meta.url);

/** One thread that decides on one piece of evidence at a time; it runs while there is some. */
export class VerificationThread {
  private readonly logger: Logger;
  private readonly limits: ThreadLimits;
  private readonly program: URL;
  private worker: Worker | undefined;
  private deciding: Promise<unknown> | undefined;
  private idle: NodeJS.Timeout | undefined;

  constructor(on: { logger: Logger; limits: ThreadLimits; program: URL }) {
    this.logger = on.logger;
    this.limits = on.limits;
    this.program = on.program;
  }

  /**
   * Evidence on which the thread dies or runs out of time is refused, and the next gets a new thread.
   *
   * @throws when no thread can be started: that is not the evidence's fault
   */
  decide(input: AppraisalInput): Promise<VerificationOutcome> {
    const decision = this.decideNow(input);
    this.deciding = decision;
    return decision;
  }

  /** What it decides on is finished first. */
  async stop(): Promise<void> {
    await Promise.allSettled([this.deciding]);
    await this.end();
  }

  private async decideNow(input: AppraisalInput): Promise<VerificationOutcome> {
    clearTimeout(this.idle);
    this.worker ??= await this.start();
    try {
      this.worker.postMessage(input);
      return requireOutcome(await messageInTime(this.worker, this.limits.decideMs));
    } catch (cause) {
      this.logger.error({ detail: messageOf(cause) }, 'evidence is refused: its verification did not end');
      await this.end();
      return failedVerification(input, 'the verifier failed on this evidence or took too long');
    } finally {
      this.idle = setTimeout(() => void this.end(), this.limits.idleMs).unref();
    }
  }

  private async end(): Promise<void> {
    clearTimeout(this.idle);
    const { worker } = this;
    this.worker = undefined;
    await worker?.terminate();
  }

  private async start(): Promise<Worker> {
    const worker = new Worker(this.program, {
      name: 'verification',
      resourceLimits: { maxOldGenerationSizeMb: this.limits.heapMegabytes },
    });
    worker.on('error', (err) => this.logger.error({ err }, 'a verification thread failed'));
    worker.on('exit', () => {
      if (this.worker === worker) this.worker = undefined;
    });
    await nextMessage(worker, this.limits.startMs);
    return worker;
  }
}

/** Rejects when the thread dies first. */
async function nextMessage(worker: Worker, limitMs: number): Promise<unknown> {
  const [message] = await once(worker, 'message', { signal: AbortSignal.timeout(limitMs) });
  return message;
}

/** Accepted only if it is said in full: half a message must never count as a verdict. */
function requireOutcome(message: unknown): VerificationOutcome {
  const { appraisal, evidenceDocument } = message as Partial<VerificationOutcome>;
  const isVerdict =
    appraisal?.verdict === 'accept'
      ? appraisal.accepted !== undefined
      : appraisal?.verdict === 'refuse' || appraisal?.verdict === 'hold';
  if (!isVerdict || typeof evidenceDocument !== 'string')
    throw new Error('the thread answered with something that is no outcome');
  return message as VerificationOutcome;
}
