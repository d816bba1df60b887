import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type BootServerProcess,
  findFreePort,
  startBootServerProcess,
} from '../../../lab/boot-server-process.ts';
import { createCleanup } from '../../../lab/cleanup.ts';
import { createSoftwareEk } from '../../../src/fleet-sim/chip/software-ek.ts';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import type { Answer } from '../../../src/fleet-sim/wire/https-client.ts';
import { PublishedServer } from './published-server.ts';
import { CHANNEL } from './release-desk.ts';

// D10: the server in a process of its own, ended by SIGKILL before each of its writes in turn, and after the last.

const cleanup = createCleanup();
let world: PublishedServer;
let running: BootServerProcess;
let configFile: string;
let armed: string;
let port: number;
let node: VirtualNode;

beforeAll(async () => {
  world = await PublishedServer.publish();
  for (const version of [2, 3]) await world.desk.addRelease(version);
  await world.publishDesk();
  await world.stop();
  port = await findFreePort();
  configFile = join(world.folder, 'boot-server.yaml');
  armed = join(world.folder, 'armed');
  // Rollouts are looked at by nobody meanwhile: every write is the request's own.
  const lines = [
    'dataDir: data',
    'tpmVendors: [vendors]',
    'admission: { channel: demo }',
    'rolloutCheckSeconds: 600',
  ];
  const doors = [
    `agents: { port: ${port} }`,
    'firmware: { port: 0 }',
    'limits: { verificationThreads: 0 }',
    '',
  ];
  await writeFile(configFile, [...lines, ...doors].join('\n'));
  await start();
  node = await createNode();
  await running.kill();
}, 60_000);

afterAll(async () => {
  node.close();
  await world.close();
  cleanup.close();
});

async function start(env: Record<string, string> = {}): Promise<void> {
  const preload = { file: join(import.meta.dirname, 'die-at-sql-write.ts'), env: { ARMED: armed, ...env } };
  running = await startBootServerProcess(
    { configFile, logFile: join(world.folder, 'server.log'), preload },
    cleanup,
  );
}

async function createNode(): Promise<VirtualNode> {
  const created = await VirtualNode.create({
    door: { port, ca: await readFile(join(world.config.dataDir, 'tls', 'ca.pem'), 'utf8') },
    ek: await createSoftwareEk(world.manufacturer),
    eventLog: logOfStage0(world.stage0.image),
    stage0Build: 1,
  });
  await world.list(created);
  expect((await created.enrol()).json.state).toBe('enrolled');
  return created;
}

const tell = (path: string, body: object = {}): Promise<Answer> =>
  world.operators(`/admin/v1/channels/${CHANNEL}/${path}`, { method: 'POST', body });

const channel = async () => (await world.operators(`/admin/v1/channels/${CHANNEL}`)).json;

/** The slots and the rollout; times and names that chance makes are left out. */
async function stateOf(): Promise<object> {
  const { mode, active, slots, rollout } = await channel();
  const versions = slots && { A: slots.A?.version ?? null, B: slots.B?.version ?? null };
  return { mode, active, versions, rollout: rollout && { version: rollout.version, state: rollout.state } };
}

interface Outcome {
  acknowledged: boolean;
  died: boolean;
}

/** One request to a server that dies at that write, if it gets so far. */
async function runDying(env: Record<string, string>, request: () => Promise<Answer>): Promise<Outcome> {
  await start(env);
  await writeFile(armed, '');
  const answer = await request().catch(() => undefined);
  await rm(armed, { force: true });
  await running.kill();
  return { acknowledged: answer !== undefined && answer.status < 300, died: answer === undefined };
}

/**
 * @param undo brings the state back after a request that took effect
 * @returns how many writes the request makes
 */
async function killAtEachWrite(on: {
  request: () => Promise<Answer>;
  look: () => Promise<object>;
  undo: () => Promise<unknown>;
}): Promise<number> {
  await start();
  const before = await on.look();
  await running.kill();
  for (let write = 1; ; write += 1) {
    const { acknowledged, died } = await runDying({ DIE_BEFORE: String(write) }, on.request);
    await start();
    const found = await on.look();
    if (!died) {
      expect(acknowledged).toBe(true);
      expect(found, 'what was acknowledged is there').not.toEqual(before);
      await on.undo();
      await running.kill();
      await killAfter(write - 1, { ...on, after: found });
      return write - 1;
    }
    expect(acknowledged).toBe(false);
    expect(found, `killed before write ${write}`).toEqual(before);
    await running.kill();
  }
}

/** After the commit and before the answer: nobody was told, and it is there whole. */
async function killAfter(
  last: number,
  on: {
    request: () => Promise<Answer>;
    look: () => Promise<object>;
    undo: () => Promise<unknown>;
    after: object;
  },
): Promise<void> {
  const { acknowledged } = await runDying({ DIE_AFTER: String(last) }, on.request);
  expect(acknowledged).toBe(false);
  await start();
  expect(await on.look()).toEqual(on.after);
  await on.undo();
  await running.kill();
}

test('D10 in staging: the slot holds what it held, or the new release', async () => {
  await start();
  await tell('stage', { version: 2 });
  await running.kill();
  const writes = await killAtEachWrite({
    request: () => tell('stage', { version: 1 }),
    look: stateOf,
    undo: () => tell('stage', { version: 2 }),
  });
  expect(writes).toBeGreaterThanOrEqual(3);
}, 120_000);

test('D10 in switching: one slot is active or the other', async () => {
  const writes = await killAtEachWrite({
    request: () => tell('promote'),
    look: stateOf,
    undo: () => tell('promote'),
  });
  expect(writes).toBeGreaterThanOrEqual(3);
}, 120_000);

test('D10 at the start of a rollout: there is none, or the whole of it with its slot', async () => {
  const writes = await killAtEachWrite({
    request: () => tell('rollout', { version: 1 }),
    look: stateOf,
    undo: async () => {
      await tell('rollout/abort');
      await tell('stage', { version: 2 });
    },
  });
  expect(writes).toBeGreaterThanOrEqual(3);
}, 120_000);

test('D10 in a boot: the node asks again and gets the same release, and no try is lost or counted twice', async () => {
  const history = async () => (await world.operators(`/admin/v1/nodes/${node.id}/releases`)).json.releases;
  await start();
  const before = await history();
  await running.kill();
  for (let write = 1; write < 30; write += 1) {
    await node.powerCycle();
    const { died } = await runDying({ DIE_BEFORE: String(write) }, () => node.attest());
    await start();
    // The same power cycle: the agent asks again.
    const answer = await node.attest();
    expect(answer.status, `killed before write ${write}`).toBe(200);
    expect(answer.json.release.version).toBe(3);
    const releases = await history();
    expect(releases.length).toBeGreaterThanOrEqual(before.length);
    const digest = answer.json.release.digest;
    const proven = await node.prove('health', digest);
    expect(proven.status).toBe(200);
    expect(await history()).toContainEqual(
      expect.objectContaining({ digest, experience: 'version 3: healthy' }),
    );
    await running.kill();
    if (!died) return expect(write).toBeGreaterThan(6);
  }
}, 180_000);
