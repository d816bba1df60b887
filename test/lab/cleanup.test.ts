import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { expect, test } from 'vitest';

const LAB = `
  import { spawn } from 'node:child_process';
  import { createCleanup } from '${new URL('../../lab/cleanup.ts', import.meta.url).href}';
  const cleanup = createCleanup();
  const folder = cleanup.createFolder('cleanup-test');
  const child = cleanup.ownChild(spawn('sleep', ['60'], { stdio: 'ignore' }));
  console.log(JSON.stringify({ folder, pid: child.pid }));
`;

const ENDINGS: readonly [string, string, NodeJS.Signals | undefined, number][] = [
  ['its end', 'process.exit(0);', undefined, 0],
  ['an exception', 'throw new Error("broken");', undefined, 1],
  ['Ctrl-C', 'setInterval(() => {}, 1000);', 'SIGINT', 130],
  ['SIGTERM', 'setInterval(() => {}, 1000);', 'SIGTERM', 143],
];

/** An orphan that was killed may stay as a zombie where nobody reaps. */
function isRunning(pid: number): boolean {
  if (!existsSync(`/proc/${pid}`)) return false;
  return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
}

test.each(ENDINGS)(
  'a lab leaves no process and no folder behind after %s',
  async (_, last, signal, status) => {
    const lab = spawn(process.execPath, ['--input-type=module', '--eval', LAB + last], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const ended = once(lab, 'exit');
    const [line] = (await once(createInterface({ input: lab.stdout }), 'line')) as [string];
    const { folder, pid } = JSON.parse(line) as { folder: string; pid: number };
    if (signal !== undefined) lab.kill(signal);
    expect(await ended).toEqual([status, null]);
    expect(existsSync(folder)).toBe(false);
    await expect.poll(() => isRunning(pid)).toBe(false);
  },
);
