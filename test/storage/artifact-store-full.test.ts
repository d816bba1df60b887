import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../temporary-folder.ts';

const run = promisify(execFile);
const PUT = fileURLToPath(new URL('./put-artifact.ts', import.meta.url));

function canMount(): boolean {
  try {
    execFileSync('unshare', ['--map-root-user', '--mount', 'true'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

describe('D8 no room for an artifact', () => {
  it('D8 a full disk is an error of its own and leaves nothing', async ({ skip }) => {
    if (!canMount()) skip('no user namespaces here');
    const folder = await temporaryFolder();
    const script = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" "$3" "$1" 4000000';
    const args = ['--map-root-user', '--mount', 'sh', '-c', script, 'sh', folder, process.execPath, PUT];
    const { stdout } = await run('unshare', args);
    expect(JSON.parse(stdout)).toEqual({ outcome: 'storage-full', left: [] });
  });

  it("D8 so is the process's file size limit", async () => {
    const folder = await temporaryFolder();
    const { stdout } = await run('prlimit', ['--fsize=1000000', process.execPath, PUT, folder, '4000000']);
    expect(JSON.parse(stdout)).toEqual({ outcome: 'storage-full', left: [] });
  });

  it('D8 an artifact that fits is stored under the same limit', async () => {
    const folder = await temporaryFolder();
    const { stdout } = await run('prlimit', ['--fsize=1000000', process.execPath, PUT, folder, '900000']);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: { stored: true } });
  });
});
