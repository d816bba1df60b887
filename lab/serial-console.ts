import { closeSync, openSync, readSync } from 'node:fs';
import { LabError } from './lab-error.ts';

export interface ConsoleLine {
  text: string;
  /** Since power-on, when the line was complete (or, for the last one, last seen). */
  seconds: number;
}

/** A serial console that is written to a file: its lines, and the moments they came. */
export interface SerialConsole {
  /** Everything so far; the last one may still grow. */
  lines(): readonly ConsoleLine[];
  /**
   * The first line, past or future, that matches. Rejects with `wait-timeout` or, when the console ends
   * first, `machine-failed`; both quote the last lines.
   */
  waitFor(pattern: RegExp, timeoutSeconds: number): Promise<ConsoleLine>;
  /** Nothing more will come: what waits is rejected. */
  end(): void;
}

interface Waiter {
  pattern: RegExp;
  resolve(line: ConsoleLine): void;
  reject(error: LabError): void;
  timer: NodeJS.Timeout;
}

const POLL_MS = 50;
const CHUNK_BYTES = 64 * 1024;
const MAX_LINE_LENGTH = 4096;
const QUOTED_LINES = 15;

/** Control sequences that firmware sends to a terminal it cannot see. */
const TERMINAL_CONTROL = /\u001b\[[0-9;?=]*[A-Za-z]|[\u0000-\u0008\u000b-\u001f\u007f]/g;

/** Starts to follow `file`, which must exist; `name` is for messages. The clock starts now. */
export function followConsole(file: string, name: string): SerialConsole {
  return new FileConsole(file, name);
}

class FileConsole implements SerialConsole {
  private readonly file: string;
  private readonly name: string;
  private readonly descriptor: number;
  private readonly timer: NodeJS.Timeout;
  private readonly startedAt = performance.now();
  private readonly decoder = new TextDecoder();
  private readonly complete: ConsoleLine[] = [];
  private readonly waiters = new Set<Waiter>();
  private rest = '';
  private position = 0;
  private hasEnded = false;

  constructor(file: string, name: string) {
    this.file = file;
    this.name = name;
    this.descriptor = openSync(file, 'r');
    this.timer = setInterval(() => this.poll(), POLL_MS);
  }

  lines(): readonly ConsoleLine[] {
    return this.rest === '' ? [...this.complete] : [...this.complete, this.lineOf(this.rest)];
  }

  waitFor(pattern: RegExp, timeoutSeconds: number): Promise<ConsoleLine> {
    const past = this.lines().find(({ text }) => pattern.test(text));
    if (past !== undefined) return Promise.resolve(past);
    if (this.hasEnded) return Promise.reject(this.endedWithout(pattern));
    return new Promise((resolve, reject) => {
      const expire = (): void => {
        this.waiters.delete(waiter);
        reject(this.failure('wait-timeout', `no ${pattern} within ${timeoutSeconds} s`));
      };
      const waiter: Waiter = { pattern, resolve, reject, timer: setTimeout(expire, timeoutSeconds * 1000) };
      this.waiters.add(waiter);
    });
  }

  end(): void {
    if (this.hasEnded) return;
    this.poll();
    this.hasEnded = true;
    clearInterval(this.timer);
    closeSync(this.descriptor);
    for (const waiter of this.waiters) {
      clearTimeout(waiter.timer);
      waiter.reject(this.endedWithout(waiter.pattern));
    }
    this.waiters.clear();
  }

  private poll(): void {
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (;;) {
      const read = readSync(this.descriptor, chunk, 0, CHUNK_BYTES, this.position);
      if (read === 0) return;
      this.position += read;
      this.accept(this.decoder.decode(chunk.subarray(0, read), { stream: true }));
    }
  }

  private accept(text: string): void {
    const pieces = (this.rest + text).split('\n');
    this.rest = (pieces.pop() ?? '').slice(0, MAX_LINE_LENGTH);
    const fresh = pieces.map((piece) => this.lineOf(piece));
    this.complete.push(...fresh);
    for (const waiter of this.waiters) {
      const line = [...fresh, this.lineOf(this.rest)].find((candidate) =>
        waiter.pattern.test(candidate.text),
      );
      if (line === undefined) continue;
      clearTimeout(waiter.timer);
      this.waiters.delete(waiter);
      waiter.resolve(line);
    }
  }

  private lineOf(raw: string): ConsoleLine {
    const text = raw.replace(TERMINAL_CONTROL, '').trimEnd();
    return { text, seconds: (performance.now() - this.startedAt) / 1000 };
  }

  private endedWithout(pattern: RegExp): LabError {
    return this.failure('machine-failed', `it ended without ${pattern}`);
  }

  private failure(code: 'wait-timeout' | 'machine-failed', what: string): LabError {
    const last = this.lines().slice(-QUOTED_LINES);
    const quoted = last.map(({ text }) => `  | ${text}`).join('\n');
    return new LabError(
      code,
      `machine ${this.name}: ${what} (log: ${this.file}). Its last lines:\n${quoted}`,
    );
  }
}
