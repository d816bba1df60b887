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

export function followConsole(file: string, name: string): SerialConsole {
  const startedAt = performance.now();
  const complete: ConsoleLine[] = [];
  const waiters = new Set<Waiter>();
  const descriptor = openSync(file, 'r');
  const decoder = new TextDecoder();
  let open: ConsoleLine = { text: '', seconds: 0 };
  let position = 0;
  let ended = false;

  const lines = (): ConsoleLine[] => (open.text === '' ? complete : [...complete, open]);
  const poll = (): void => {
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (let read = readSync(descriptor, chunk, 0, CHUNK_BYTES, position); read > 0; ) {
      position += read;
      accept(decoder.decode(chunk.subarray(0, read), { stream: true }));
      read = readSync(descriptor, chunk, 0, CHUNK_BYTES, position);
    }
  };
  const accept = (text: string): void => {
    const seconds = (performance.now() - startedAt) / 1000;
    const pieces = (open.text + text).split('\n');
    const rest = pieces.pop() ?? '';
    const fresh = pieces.map((piece) => ({ text: clean(piece), seconds }));
    complete.push(...fresh);
    open = { text: rest.slice(0, MAX_LINE_LENGTH), seconds };
    for (const waiter of [...waiters])
      settle(
        waiter,
        [...fresh, { ...open, text: clean(open.text) }].find(({ text: line }) => waiter.pattern.test(line)),
      );
  };
  const settle = (waiter: Waiter, line: ConsoleLine | undefined): void => {
    if (line === undefined) return;
    forget(waiter);
    waiter.resolve(line);
  };
  const forget = (waiter: Waiter): void => {
    clearTimeout(waiter.timer);
    waiters.delete(waiter);
  };
  const failure = (code: 'wait-timeout' | 'machine-failed', what: string): LabError => {
    const last = lines()
      .slice(-QUOTED_LINES)
      .map(({ text }) => `  | ${clean(text)}`);
    return new LabError(code, `machine ${name}: ${what}. Its last lines:\n${last.join('\n')}`);
  };
  const timer = setInterval(poll, POLL_MS);

  return {
    lines: () => lines().map(({ text, seconds }) => ({ text: clean(text), seconds })),
    waitFor(pattern, timeoutSeconds) {
      const past = lines().find(({ text }) => pattern.test(clean(text)));
      if (past !== undefined) return Promise.resolve(past);
      if (ended) return Promise.reject(failure('machine-failed', `it ended without ${pattern}`));
      return new Promise((resolve, reject) => {
        const waiter: Waiter = { pattern, resolve, reject, timer: setTimeout(expire, timeoutSeconds * 1000) };
        function expire(): void {
          forget(waiter);
          reject(failure('wait-timeout', `no ${pattern} within ${timeoutSeconds} s`));
        }
        waiters.add(waiter);
      });
    },
    end() {
      if (ended) return;
      poll();
      ended = true;
      clearInterval(timer);
      closeSync(descriptor);
      for (const waiter of [...waiters]) {
        forget(waiter);
        waiter.reject(failure('machine-failed', `it ended without ${waiter.pattern}`));
      }
    },
  };
}

function clean(text: string): string {
  return text.replace(TERMINAL_CONTROL, '').trimEnd();
}
