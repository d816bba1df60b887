import { type ChildProcess, spawn } from 'node:child_process';
import { constants, type Stats } from 'node:fs';
import { access, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError } from '../../core/errors.ts';

export type HookErrorCode =
  /** Not there, no program, or others could replace it. */
  | 'hook-unusable'
  | 'hook-failed'
  | 'hook-slow'
  /** What it answered is not the signature that was asked for. It was thrown away. */
  | 'hook-answer-wrong';

export class HookError extends CodedError<HookErrorCode> {}

export interface HookLimits {
  /** The program and all that it started are killed then. */
  readonly deadlineMs: number;
  readonly maxOutputBytes: number;
}

export const HOOK_LIMITS: HookLimits = { deadlineMs: 30_000, maxOutputBytes: 32 * 1024 };

/** Nothing of ours: what a program needs it can set, and a secret in our environment stays there. */
const ENVIRONMENT = { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C' };
const EXPLANATION_BYTES = 300;

/**
 * Runs `PROGRAM -a ALGORITHM FILE`, as `rpi-eeprom-digest -H` and `rpi-sign-bootcode -H` do: FILE holds the
 * message itself, not its digest; the signature comes in hex on standard output, and 0 is the only status
 * of success. Without a shell, without input, in a session of its own.
 *
 * @returns the bytes that the hex stands for
 * @throws {HookError}
 */
export async function runHook(
  hook: { program: string; algorithm: string; message: Uint8Array },
  limits: HookLimits,
): Promise<Uint8Array> {
  await requireSafeProgram(hook.program);
  const folder = await mkdtemp(join(tmpdir(), 'bootward-hook-'));
  try {
    const file = join(folder, 'message');
    await writeFile(file, hook.message, { mode: 0o600, flag: 'wx' });
    const output = await outputOf(hook.program, ['-a', hook.algorithm, file], limits);
    return parseHex(output, hook.program);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Whoever can write the program signs what they like. */
async function requireSafeProgram(program: string): Promise<void> {
  const found = await stat(program).catch(() => undefined);
  if (found === undefined || !found.isFile() || !(await isExecutable(program)))
    throw new HookError('hook-unusable', `${program} is no program that we can run`);
  if (!isOurs(found) || (found.mode & 0o022) !== 0)
    throw new HookError(
      'hook-unusable',
      `others can replace ${program}: it must be root's or ours, and writable by nobody else`,
    );
}

function isOurs({ uid }: Stats): boolean {
  return uid === 0 || uid === process.getuid?.();
}

async function isExecutable(program: string): Promise<boolean> {
  try {
    await access(program, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function outputOf(program: string, args: readonly string[], limits: HookLimits): Promise<string> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    cwd: '/',
    env: ENVIRONMENT,
  });
  return new Promise((resolve, reject) => {
    const refuse = (code: HookErrorCode, what: string, cause?: unknown) => {
      clearTimeout(timer);
      reject(new HookError(code, `${program} ${what}; nothing was signed`, { cause }));
    };
    const cutOff = (code: HookErrorCode, what: string) => {
      killGroup(child);
      refuse(code, what);
    };
    const slow = `did not answer within ${limits.deadlineMs / 1000} s`;
    const timer = setTimeout(() => cutOff('hook-slow', slow), limits.deadlineMs);
    let output = '';
    let explanation = '';
    child.stdout?.setEncoding('latin1').on('data', (text: string) => {
      output += text;
      if (output.length > limits.maxOutputBytes) cutOff('hook-answer-wrong', 'answered with too much');
    });
    child.stderr?.setEncoding('latin1').on('data', (text: string) => {
      explanation = (explanation + text).slice(0, EXPLANATION_BYTES);
    });
    child.once('error', (cause) => refuse('hook-failed', 'cannot be started', cause));
    child.once('close', (status, signal) => {
      if (status !== 0)
        return refuse('hook-failed', `failed (${signal ?? status}): ${printable(explanation)}`);
      clearTimeout(timer);
      resolve(output);
    });
  });
}

/** What it started goes with it. */
function killGroup({ pid, stdout, stderr }: ChildProcess): void {
  stdout?.destroy();
  stderr?.destroy();
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function printable(text: string): string {
  const line = text.replaceAll(/[^ -~]+/g, ' ').trim();
  return line === '' ? 'no explanation' : line;
}

const HEX_LINE = /^(?:[0-9a-f]{2})+$/;

function parseHex(output: string, program: string): Uint8Array {
  const hex = output.trim().toLowerCase();
  if (HEX_LINE.test(hex)) return Buffer.from(hex, 'hex');
  throw new HookError(
    'hook-answer-wrong',
    `${program} answered with something that is not one line of hex digits`,
  );
}
