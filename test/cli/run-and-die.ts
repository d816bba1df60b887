import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

const PROGRAM = join(import.meta.dirname, '../../src/cli/boot-sign.ts');
const HOOK = join(import.meta.dirname, 'die-at-write.ts');

/** How many changes of the folder a test waits for at most. */
export const MOST_CHANGES = 60;

/** boot-sign in a process of its own, by the real clock, killed before the nth change that it makes. */
export function runAndDie(dieAt: number, args: readonly string[]) {
  const { status, signal } = spawnSync(process.execPath, ['--import', HOOK, PROGRAM, ...args], {
    env: { ...process.env, DIE_AT: String(dieAt) },
  });
  return { status, died: signal === 'SIGKILL' };
}
