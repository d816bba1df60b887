import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { LabError } from './lab-error.ts';

const run = promisify(execFile);
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const BIN = join(import.meta.dirname, '../bin');

/** Of boot-sign: done as far as the keys at hand go; others have to sign (docs/releases.md). */
const WAITING = 79;

/** One of our own commands as a user runs it; answers what it printed. */
export async function runCommand(
  name: 'boot-admin' | 'boot-sign',
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<string> {
  try {
    const { stdout } = await run(process.execPath, [join(BIN, `${name}.mjs`), ...args], {
      maxBuffer: MAX_OUTPUT_BYTES,
      env,
    });
    return stdout;
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === WAITING && 'stdout' in cause)
      return String(cause.stdout);
    const said = cause instanceof Error && 'stderr' in cause ? String(cause.stderr).trim() : String(cause);
    throw new LabError('command-failed', `${name} ${args[0]} ${args[1] ?? ''}: ${said}`, { cause });
  }
}
