import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { PublishedServer } from './published-server.ts';

// boot-admin watch as a program of its own, at the agents' door of a real server.

const PROGRAM = join(import.meta.dirname, '../../../bin/boot-admin.mjs');
let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
  await writeFile(file('1.root.json'), world.desk.files.get('1.root.json') ?? '');
});

afterAll(() => world.close());

const file = (name: string): string => join(world.folder, name);

function watch(...args: string[]): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const url = `https://127.0.0.1:${world.ports.agents}`;
  const given = ['--root', file('1.root.json'), '--ca', join(world.config.dataDir, 'tls', 'ca.pem')];
  const command = ['watch', url, ...given, '--state', file('watch.json'), '--once', ...args];
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...command], (error, stdout, stderr) =>
      resolve({ status: error?.code ?? 0, stdout, stderr }),
    );
  });
}

const timestamp = async () => (await (await world.stranger()).call('/v1/tuf/timestamp.json')).bytes;

describe('boot-admin watch', () => {
  test('says current, and remembers what it saw', async () => {
    const { status, stdout } = await watch('-o', 'json');
    expect(status).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ state: 'current', versions: { root: 1, timestamp: 3 } });
    expect(existsSync(file('watch.json'))).toBe(true);
    expect((await watch()).stdout).toMatch(
      /^\d{4}-\d\d-\d\d [\d:]{8} {2}current +127\.0\.0\.1:\d+ {2}timestamp 3 /,
    );
  });

  test('R7 exits with 10 when the timestamp is older than it may be', async () => {
    const memory = JSON.parse(await readFile(file('watch.json'), 'utf8'));
    memory.timestampSeenSeconds -= 3600;
    await writeFile(file('watch.json'), JSON.stringify(memory));
    expect(await watch('--max-age', '30m')).toMatchObject({
      status: 10,
      stdout: expect.stringContaining('frozen'),
    });
  });

  test('R5 exits with 11 when a door serves older metadata than were seen, by itself or elsewhere', async () => {
    const before = await timestamp();
    await world.desk.addRelease(2);
    expect((await world.publishDesk()).status).toBe(200);
    expect((await watch()).status).toBe(0);
    await world.stop();
    world.database((database) =>
      database.prepare(`update metadata_files set bytes = ? where name = 'timestamp.json'`).run(before),
    );
    await rm(join(world.config.dataDir, 'served-floor.json'), { force: true });
    await world.open();
    expect(await watch()).toMatchObject({
      status: 11,
      stdout: expect.stringMatching(/rolled-back .*timestamp is version 3, version 4 was seen/),
    });
  });

  test('exits with 14 when a root of somebody else is all that it trusts', async () => {
    const desk = await world.openDesk('somebody else');
    await writeFile(file('theirs.json'), desk.files.get('1.root.json') ?? '');
    const { status, stdout } = await watch(
      '--root',
      file('theirs.json'),
      '--state',
      file('theirs-state.json'),
    );
    expect([status, stdout]).toEqual([14, expect.stringContaining('forged')]);
  });

  test('exits with 1 when its memory is of another root, and does not touch it', async () => {
    await copyFile(file('watch.json'), file('copy.json'));
    const { status, stderr } = await watch('--root', file('theirs.json'), '--state', file('copy.json'));
    expect([status, stderr]).toEqual([1, expect.stringContaining('another root')]);
  });

  test('exits with 13 when nobody answers, or somebody with another certificate', async () => {
    const { status, stdout } = await watch('--ca', file('1.root.json'), '--state', file('none.json'));
    expect([status, stdout]).toEqual([13, expect.stringContaining('unreachable')]);
    await world.stop();
    const port = '1';
    const command = ['watch', `https://127.0.0.1:${port}`, '--root', file('1.root.json'), '--once'];
    const answer = await new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, ...command], { cwd: world.folder }, (error) =>
        resolve(error?.code),
      );
    });
    expect(answer).toBe(13);
    await world.open();
  });

  test('exits with 64 for what is no address of a door', async () => {
    const answer = await new Promise((resolve) => {
      execFile(process.execPath, [PROGRAM, 'watch', 'http://x', '--root', 'x'], (error) =>
        resolve(error?.code),
      );
    });
    expect(answer).toBe(64);
  });
});
