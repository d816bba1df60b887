import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BootServerProcess,
  findFreePort,
  startBootServerProcess,
} from '../../lab/boot-server-process.ts';
import { type Cleanup, createCleanup } from '../../lab/cleanup.ts';
import { type Mixture, mixBehaviours } from '../../src/fleet-sim/behaviour.ts';
import { createChip, fingerprintOf } from '../../src/fleet-sim/chip/chip.ts';
import { logOfStage0 } from '../../src/fleet-sim/firmware/stage0-log.ts';
import { createMachines } from '../../src/fleet-sim/fleet-machines.ts';
import type { Machine } from '../../src/fleet-sim/machine.ts';
import { PublishedServer } from '../boot-server/api/published-server.ts';
import { CHANNEL } from '../boot-server/api/release-desk.ts';

/** A server in a process of its own with release 1 in force, and a fleet whose chips it expects. */
export interface FleetWorld {
  readonly server: BootServerProcess;
  readonly published: PublishedServer;
  readonly machines: readonly Machine[];
  readonly door: { port: number; ca: string };
  /** A call on the operators' socket that must be answered with success. */
  // biome-ignore lint/suspicious/noExplicitAny: tests reach into answers of every call
  operate(path: string, body?: unknown): Promise<any>;
  close(): Promise<void>;
}

export async function createFleetWorld(mixture: Mixture): Promise<FleetWorld> {
  const cleanup = createCleanup();
  const published = await PublishedServer.publish();
  await published.stop();
  const { server, port } = await startServer(published, cleanup);
  const door = { port, ca: await readFile(join(published.config.dataDir, 'tls', 'ca.pem'), 'utf8') };

  async function operate(path: string, body?: unknown) {
    const call = body === undefined ? {} : { method: 'POST', body };
    const { status, json, bytes } = await published.operators(`/admin/v1/${path}`, call);
    if (status !== 200) throw new Error(`${path}: ${status} ${bytes}`);
    return json;
  }

  const chips = [];
  for (let made = 0; made < mixture.nodes; made += 1) chips.push(await createChip(published.manufacturer));
  const entries = chips.map((chip) => ({ fingerprint: fingerprintOf(chip), comment: 'simulated' }));
  await operate('eks', { channel: CHANNEL, entries });
  const { image, listing } = published.stage0;
  const machines = await createMachines({
    chips,
    behaviours: mixBehaviours(mixture),
    door,
    stage0: { eventLog: logOfStage0(image), build: listing.build },
    nowMs: Date.now(),
  });
  return {
    server,
    published,
    machines,
    door,
    operate,
    async close() {
      await server.kill();
      await published.close();
      cleanup.close();
    },
  };
}

/**
 * A verification thread has a lower priority than everything else: on cores that are shared with other tests it is
 * waited for, and a rollout that is watched by the second would be late for reasons that are not the server's.
 */
const ON_THE_EVENT_LOOP = 'limits: { verificationThreads: 0 }';

async function startServer(published: PublishedServer, cleanup: Cleanup) {
  const port = await findFreePort();
  const configFile = join(published.folder, 'boot-server.yaml');
  const lines = [
    'dataDir: data',
    'tpmVendors: [vendors]',
    `admission: { channel: ${CHANNEL} }`,
    'firmware: { port: 0 }',
    `agents: { port: ${port} }`,
    'rolloutCheckSeconds: 1',
    ON_THE_EVENT_LOOP,
    '',
  ];
  await writeFile(configFile, lines.join('\n'));
  const logFile = join(published.folder, 'server.log');
  return { server: await startBootServerProcess({ configFile, logFile }, cleanup), port };
}
