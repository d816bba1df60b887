import { execFile, execFileSync } from 'node:child_process';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { sweepTemporaryFiles, writeFileDurably } from '../../src/core/durable-file.ts';
import { temporaryFolder } from '../temporary-folder.ts';

const WRITER = fileURLToPath(new URL('./write-durably.ts', import.meta.url));

interface Outcome {
  acknowledged: boolean;
  contents: string | undefined;
}

/** Runs the writer under strace, which kills it as it enters the named system call for the nth time. */
function killedAt(folder: string, step: { call: string; nth: number; mode: string }): Promise<Outcome> {
  const trace = ['-f', '-qq', '-o', '/dev/null', '-e', `trace=${step.call}`];
  const inject = ['-e', `inject=${step.call}:signal=KILL:when=${step.nth}`];
  const args = [...trace, ...inject, process.execPath, WRITER, folder, step.mode];
  // strace counts calls per thread: one thread makes them all.
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  execFile('strace', args, { env }, async (_error, stdout) => {
    const contents = await readFile(join(folder, 'file'), 'utf8').catch(() => undefined);
    resolve({ acknowledged: stdout === 'acknowledged', contents });
  });
  return promise;
}

function canTrace(): boolean {
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('durable files', () => {
  it('writes with the mode asked for and leaves no other file', async () => {
    const folder = await temporaryFolder();
    await writeFileDurably({ path: join(folder, 'file'), contents: 'x', mode: 0o600, replace: false });
    expect((await stat(join(folder, 'file'))).mode & 0o777).toBe(0o600);
    expect((await stat(join(folder, 'file'))).nlink).toBe(1);
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('does not replace a file unless told to, and then leaves nothing behind', async () => {
    const folder = await temporaryFolder();
    const path = join(folder, 'file');
    await writeFile(path, 'old');
    await expect(writeFileDurably({ path, contents: 'new', replace: false })).rejects.toMatchObject({
      code: 'EEXIST',
    });
    expect(await readFile(path, 'utf8')).toBe('old');
    await writeFileDurably({ path, contents: 'new', replace: true });
    expect(await readFile(path, 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['file']);
  });

  it('sweeps its own leftovers and no other file', async () => {
    const folder = await temporaryFolder();
    for (const name of ['.bootward-0.tmp', 'x.tmp', `.bootward-${'0'.repeat(24)}.tmp`])
      await writeFile(join(folder, name), '');
    expect(await sweepTemporaryFiles(folder)).toBe(1);
    expect((await readdir(folder)).sort()).toEqual(['.bootward-0.tmp', 'x.tmp']);
  });

  it.each([
    { call: 'fsync', nth: 1, leaves: 'old contents' },
    { call: 'rename', nth: 1, leaves: 'old contents' },
    { call: 'fsync', nth: 2, leaves: 'new contents' },
  ])('D10 kill -9 at $call $nth of a replacement leaves the $leaves', async ({ call, nth, leaves }) => {
    if (!canTrace()) return;
    const folder = await temporaryFolder();
    await writeFile(join(folder, 'file'), 'old contents');
    const outcome = await killedAt(folder, { call, nth, mode: 'replace' });
    expect(outcome).toEqual({ acknowledged: false, contents: leaves });
    await sweepTemporaryFiles(folder);
    expect(await readdir(folder)).toEqual(['file']);
  });

  it.each([
    { call: 'fsync', nth: 1, leaves: undefined },
    { call: 'link', nth: 1, leaves: undefined },
    { call: 'unlink', nth: 1, leaves: 'new contents' },
    { call: 'fsync', nth: 2, leaves: 'new contents' },
  ])('D10 kill -9 at $call $nth of a first write leaves all of it or none', async ({ call, nth, leaves }) => {
    if (!canTrace()) return;
    const folder = await temporaryFolder();
    const outcome = await killedAt(folder, { call, nth, mode: 'create' });
    expect(outcome).toEqual({ acknowledged: false, contents: leaves });
    await sweepTemporaryFiles(folder);
    expect(await readdir(folder)).toEqual(leaves === undefined ? [] : ['file']);
  });
});
