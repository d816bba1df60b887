import { execFile } from 'node:child_process';
import { symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startBootServer } from '../../src/boot-server/compose.ts';
import { type Config, parseConfig } from '../../src/boot-server/config.ts';
import { PublishedServer } from './api/published-server.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/boot-server.mjs');
const logger = pino({ enabled: false });

let world: PublishedServer;
let config: Config;
let text: string;

/** A second server with doors of its own, and another name for the same folder. */
beforeEach(async () => {
  world = await PublishedServer.start();
  await symlink(world.config.dataDir, join(world.folder, 'alias'));
  const doors = ['firmware: { port: 0 }', 'agents: { port: 0 }', 'operators: { socket: second.sock }'];
  text = ['dataDir: alias', 'tpmVendors: [vendors]', ...doors, ''].join('\n');
  config = parseConfig({ text, origin: 'test', folder: world.folder, environment: {} });
});

afterEach(() => world.close());

describe('a data folder that a server uses', () => {
  test('is refused to a second one, which would give out what the first has withdrawn', async () => {
    await expect(startBootServer({ config, logger })).rejects.toMatchObject({
      code: 'data-folder-busy',
      message: expect.stringMatching(/^another boot server uses .*alias: stop it/),
    });
    expect((await world.operators('/healthz')).status).toBe(200);
  });

  test('is refused by the program with the exit status of what a supervisor should not try again', async () => {
    const configFile = join(world.folder, 'second.yaml');
    await writeFile(configFile, text);
    const { promise, resolve } = Promise.withResolvers<[number | string | null | undefined, string]>();
    execFile(process.execPath, [PROGRAM, '--config', configFile], { timeout: 15_000 }, (error, _, stderr) =>
      resolve([error?.code, stderr]),
    );
    const [status, stderr] = await promise;
    expect(status).toBe(78);
    expect(stderr).toMatch(/^boot-server: data-folder-busy: another boot server uses /);
  });

  test('is free when that has stopped, and after a start that failed', async () => {
    await world.stop();
    const broken = { ...config, operators: { ...config.operators, socket: join(world.folder, 'vendors') } };
    await expect(startBootServer({ config: broken, logger })).rejects.toMatchObject({
      code: 'door-socket-not-a-socket',
    });
    const second = await startBootServer({ config, logger });
    await expect(world.open()).rejects.toMatchObject({ code: 'data-folder-busy' });
    await second.stop();
    await world.open();
  });
});
