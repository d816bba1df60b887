import { execFile } from 'node:child_process';
import { mkdtemp, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const REPOSITORY = join(import.meta.dirname, '../..');

/**
 * The package as npm would install it, compiled and without sources: what operators run. From a checkout,
 * type stripping alone takes some 30 MB more. Answers the folder; the caller removes it.
 */
export async function installCopy(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'bootward-installed-'));
  const options = { cwd: REPOSITORY, maxBuffer: 16 * 1024 * 1024 };
  await run('npm', ['pack', '--loglevel=error', '--pack-destination', folder], options);
  await run('sh', ['-c', 'tar xf *.tgz'], { cwd: folder });
  await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'package', 'node_modules'));
  return join(folder, 'package');
}
