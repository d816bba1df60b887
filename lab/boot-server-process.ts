import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Cleanup } from './cleanup.ts';
import { LabError } from './lab-error.ts';

const START_SECONDS = 30;
const PROGRAM = join(import.meta.dirname, '../src/cli/boot-server.ts');

export interface BootServerProcess {
  pid: number;
  /** Drains and ends, as a supervisor would have it. */
  stop(): Promise<void>;
  /** SIGKILL: nothing is finished. */
  kill(): Promise<void>;
}

/** The real server in a process of its own, from its configuration file; resolves when its doors are open. */
export async function startBootServerProcess(
  on: {
    configFile: string;
    logFile: string;
    program?: string;
    /** A module that is loaded before the program: tests that end it at a chosen moment. */
    preload?: { file: string; env: Readonly<Record<string, string>> };
  },
  cleanup: Cleanup,
): Promise<BootServerProcess> {
  const { configFile, logFile, program = PROGRAM, preload } = on;
  const child = cleanup.ownChild(
    spawn(
      process.execPath,
      [...(preload ? ['--import', preload.file] : []), program, '--config', configFile],
      { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...preload?.env } },
    ),
  );
  const log = createWriteStream(logFile, { flags: 'a' });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.stderr.pipe(log, { end: false });
  const { promise: open, resolve, reject } = Promise.withResolvers<void>();
  createInterface({ input: child.stdout }).on('line', (line) => {
    log.write(`${line}\n`);
    if (line.includes('"msg":"boot server is open"')) resolve();
  });
  const fail = (what: string) =>
    reject(new LabError('server-failed', `boot server: ${what}; see ${logFile}`));
  const timer = setTimeout(() => fail(`not open after ${START_SECONDS} s`), START_SECONDS * 1000);
  child.once('exit', (code) => fail(`ended with status ${code}`));
  await open.finally(() => clearTimeout(timer));
  const end = async (signal: 'SIGTERM' | 'SIGKILL') => {
    child.kill(signal);
    await ended;
    log.end();
  };
  return { pid: child.pid ?? 0, stop: () => end('SIGTERM'), kill: () => end('SIGKILL') };
}

/** A port of the loopback that nobody listens on now. */
export async function findFreePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}
