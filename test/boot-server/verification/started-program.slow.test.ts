import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { cp, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { findFreePort, startBootServerProcess } from '../../../lab/boot-server-process.ts';
import { createCleanup } from '../../../lab/cleanup.ts';
import { createSoftwareEk } from '../../../src/fleet-sim/chip/software-ek.ts';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { temporaryFolder } from '../../temporary-folder.ts';
import { PublishedServer } from '../api/published-server.ts';

// A thread is a program of its own with a path of its own: in a checkout TypeScript, in the package that npm
// installs JavaScript. Both are started here as an operator starts them.

const REPOSITORY = join(import.meta.dirname, '../../..');

async function builtPackage(): Promise<string> {
  const folder = await temporaryFolder();
  const tsc = join(REPOSITORY, 'node_modules/.bin/tsc');
  const options = ['-p', 'tsconfig.build.json', '--noCheck', '--outDir', join(folder, 'dist')];
  await promisify(execFile)(tsc, options, { cwd: REPOSITORY });
  for (const part of ['bin', 'keys', 'package.json'])
    await cp(join(REPOSITORY, part), join(folder, part), { recursive: true });
  await symlink(join(REPOSITORY, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

test.each([
  ['from a checkout', async () => REPOSITORY],
  ['from the built package', builtPackage],
])('the program decides in a thread when it is started %s', async (_name, findPackage) => {
  const program = join(await findPackage(), 'bin/boot-server.mjs');
  const world = await PublishedServer.publish();
  const cleanup = createCleanup();
  try {
    await world.stop();
    const port = await findFreePort();
    const configFile = join(world.folder, 'boot-server.yaml');
    const limits = 'limits: { verificationThreads: 2 }';
    const doors = [`agents: { port: ${port} }`, 'firmware: { port: 0 }'];
    const others = ['dataDir: data', 'tpmVendors: [vendors]', 'admission: { channel: demo }', limits];
    await writeFile(configFile, [...doors, ...others].join('\n'));
    const logFile = join(world.folder, 'server.log');
    const server = await startBootServerProcess({ configFile, logFile, program }, cleanup);
    const node = await VirtualNode.create({
      door: { port, ca: await readFile(join(world.config.dataDir, 'tls/ca.pem'), 'utf8') },
      ek: await createSoftwareEk(world.manufacturer),
      eventLog: logOfStage0(world.stage0.image),
      stage0Build: 1,
    });
    await world.list(node);

    const atRest = threadsOf(server.pid);
    const [{ nice } = { nice: Number.NaN }] = atRest;
    expect(atRest.map(({ name }) => name)).not.toContain('verification');
    expect((await node.enrol()).json).toMatchObject({ state: 'enrolled' });
    expect((await node.attest()).json).toMatchObject({ verdict: 'accept' });
    const deciding = threadsOf(server.pid).filter(({ name }) => name === 'verification');
    expect(deciding).toEqual([{ name: 'verification', nice: nice + 10 }]);
    node.close();
    await server.stop();
  } finally {
    cleanup.close();
    await world.close();
  }
});

/** Names and priorities, the main thread first (proc(5), fields 2 and 19). */
function threadsOf(pid: number): { name: string; nice: number }[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const [head = '', tail = ''] = readFileSync(`/proc/${pid}/task/${id}/stat`, 'latin1').split(') ');
    return { name: head.split('(')[1] ?? '', nice: Number(tail.split(' ')[16]) };
  });
}
