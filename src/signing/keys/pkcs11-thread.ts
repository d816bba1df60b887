import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { HsmError } from './pkcs11-error.ts';
import type { Pkcs11Answers, Pkcs11Reply, Pkcs11Request } from './pkcs11-messages.ts';

/** TypeScript in a checkout, JavaScript in the built package. */
const PROGRAM = new URL(`./pkcs11-worker${extname(import.meta.url)}`, import.meta.url);
const HEAP_MEGABYTES = 32;

/** What may be waited for an answer, from now on. */
export class Deadline {
  readonly limitMs: number;
  private startMs = performance.now();
  private isStopped = false;

  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  get leftMs(): number {
    return this.isStopped ? this.limitMs : this.startMs + this.limitMs - performance.now();
  }

  /** The time that a person takes is not the HSM's. */
  async notDuring<Value>(action: () => Promise<Value>): Promise<Value> {
    this.isStopped = true;
    const stoppedMs = performance.now();
    try {
      return await action();
    } finally {
      this.startMs += performance.now() - stoppedMs;
      this.isStopped = false;
    }
  }

  /** @throws {HsmError} `hsm-slow` */
  requireLeft(): void {
    if (this.leftMs <= 0) throw this.error();
  }

  error(): HsmError {
    return new HsmError(
      'hsm-slow',
      `the HSM did not answer within ${this.limitMs / 1000} s; nothing was signed. See what keeps it, then try again`,
    );
  }
}

/** @throws {HsmError} `hsm-slow`; what is asked goes on, and its answer is thrown away */
export async function within<Value>(deadline: Deadline, answer: Promise<Value>): Promise<Value> {
  let timer: NodeJS.Timeout | undefined;
  const slow = new Promise<never>((_, reject) => {
    const look = () => {
      if (deadline.leftMs <= 0) return reject(deadline.error());
      timer = setTimeout(look, Math.ceil(deadline.leftMs));
    };
    look();
  });
  try {
    return await Promise.race([answer, slow]);
  } finally {
    clearTimeout(timer);
  }
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: HsmError): void;
}

/**
 * A thread with one session: a module blocks for as long as it likes, and must not keep this thread from
 * saying so. One question at a time.
 */
export class Pkcs11Thread {
  private worker: Worker | undefined;
  private waiting: Waiting | undefined;

  ask<Op extends Pkcs11Request['op']>(
    request: Extract<Pkcs11Request, { op: Op }>,
  ): Promise<Pkcs11Answers[Op]> {
    const worker = this.worker ?? this.start();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve: (answer) => resolve(answer as Pkcs11Answers[Op]), reject };
      worker.postMessage(request);
    });
  }

  /** A thread that the module does not let go of ends when it does; a process that exits waits for it. */
  async end(): Promise<void> {
    const { worker } = this;
    this.worker = undefined;
    if (this.waiting !== undefined) return;
    await worker?.terminate();
  }

  /** Unreferenced: an open session keeps no process alive, a deadline that runs does. */
  private start(): Worker {
    const worker = new Worker(PROGRAM, {
      name: 'pkcs11',
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MEGABYTES },
    });
    worker.on('message', (reply: Pkcs11Reply) => this.settle(reply));
    worker.on('error', (error) => this.died(worker, error));
    worker.on('exit', () => this.died(worker));
    worker.unref();
    this.worker = worker;
    return worker;
  }

  private settle(reply: Pkcs11Reply): void {
    const { waiting } = this;
    this.waiting = undefined;
    if ('answer' in reply) waiting?.resolve(reply.answer);
    else waiting?.reject(new HsmError(reply.error.code, reply.error.message));
  }

  private died(worker: Worker, cause?: unknown): void {
    if (this.worker !== worker) return;
    this.worker = undefined;
    this.waiting?.reject(new HsmError('hsm-gone', "the HSM's thread ended", { cause }));
    this.waiting = undefined;
  }
}
