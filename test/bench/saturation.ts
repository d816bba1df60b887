import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findFreePort } from '../../lab/boot-server-process.ts';
import { concatBytes } from '../../src/core/bytes.ts';
import { createSoftwareEk } from '../../src/fleet-sim/chip/software-ek.ts';
import { writeEvent } from '../../src/fleet-sim/firmware/event-log-writer.ts';
import { logOfStage0 } from '../../src/fleet-sim/firmware/stage0-log.ts';
import { VirtualNode } from '../../src/fleet-sim/virtual-node.ts';
import { PublishedServer } from '../boot-server/api/published-server.ts';
import type { Measurement } from './bench-process.ts';

const PROGRAM = join(import.meta.dirname, '../../bin/boot-server.mjs');
const POLLER = join(import.meta.dirname, 'health-poller.ts');
const SECONDS = 8;
const HONEST_NODES = 4;
const HOSTILE_NODES = 4;
/** The longest that the agents' door takes. */
const HOSTILE_LOG_BYTES = 512 * 1024;

/**
 * How fast `/healthz` answers while enrolled machines attest as fast as they can: half of them honest, half
 * with a genuine quote and a log of the greatest length in the shortest events. Server, machines and the one
 * who asks are three processes on the cores of one machine.
 */
export async function benchSaturation(): Promise<Measurement[]> {
  const world = await PublishedServer.publish();
  await world.stop();
  try {
    return [...(await measure(world, 0)), ...(await measure(world, 1))];
  } finally {
    await world.close();
  }
}

async function measure(world: PublishedServer, threads: number): Promise<Measurement[]> {
  const { server, door, caFile } = await startServer(world, threads);
  const nodes = await enrolNodes(world, door);
  const load = createLoad(nodes);
  try {
    const atRest = await poll(door.port, caFile);
    load.start();
    const saturated = await poll(door.port, caFile);
    const { honest, hostile } = await load.stop();
    const name = threads === 0 ? 'no threads' : `${threads} thread`;
    const rates = [honest, hostile].map((count) => (count / SECONDS).toFixed(0)).join(', ');
    return [
      { name: `/healthz at rest, ${name}: p50, p99, max in ms`, value: show(atRest), aim: '' },
      {
        name: `/healthz while attestation is saturated, ${name}: p50, p99, max in ms`,
        value: show(saturated),
        aim: threads === 0 ? '' : 'p99 < 20',
      },
      { name: `decisions per second meanwhile, ${name}: honest, hostile`, value: rates, aim: '' },
    ];
  } finally {
    for (const node of nodes) node.close();
    server.kill();
    await once(server, 'exit');
  }
}

interface AgentsDoor {
  port: number;
  ca: string;
}

/** Its log goes to a file: a pipe would make the server wait for this process, which has other things to do. */
async function startServer(
  world: PublishedServer,
  threads: number,
): Promise<{ server: ChildProcess; door: AgentsDoor; caFile: string }> {
  const port = await findFreePort();
  const configFile = join(world.folder, 'boot-server.yaml');
  const lines = [
    'dataDir: data',
    'tpmVendors: [vendors]',
    'admission: { channel: demo }',
    'firmware: { port: 0 }',
    `agents: { port: ${port} }`,
    `limits: { verificationThreads: ${threads} }`,
  ];
  await writeFile(configFile, lines.join('\n'));
  const log = await open(join(world.folder, 'server.log'), 'a');
  const server = spawn(process.execPath, [PROGRAM, '--config', configFile], {
    stdio: ['ignore', log.fd, log.fd],
  });
  const caFile = join(world.config.dataDir, 'tls', 'ca.pem');
  for (let waited = 0; waited < 10_000 && !(await isOpen(world)); waited += 50) await delay(50);
  await log.close();
  return { server, door: { port, ca: await readFile(caFile, 'utf8') }, caFile };
}

async function isOpen(world: PublishedServer): Promise<boolean> {
  return world.operators('/healthz').then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function enrolNodes(world: PublishedServer, door: AgentsDoor): Promise<VirtualNode[]> {
  const nodes: VirtualNode[] = [];
  for (let n = 0; n < HONEST_NODES + HOSTILE_NODES; n += 1) nodes.push(await enrolNode(world, door));
  return nodes;
}

async function enrolNode(world: PublishedServer, door: AgentsDoor): Promise<VirtualNode> {
  const eventLog = logOfStage0(world.stage0.image);
  const ek = await createSoftwareEk(world.manufacturer);
  const node = await VirtualNode.create({ door, ek, eventLog, stage0Build: 1 });
  await world.list(node);
  const { json } = await node.enrol();
  if (json.state !== 'enrolled') throw new Error(`not enrolled: ${JSON.stringify(json)}`);
  return node;
}

function createLoad(nodes: readonly VirtualNode[]) {
  const counts = { honest: 0, hostile: 0 };
  let stopped = false;
  let loops: Promise<void>[] = [];

  async function attest(node: VirtualNode, kind: keyof typeof counts): Promise<void> {
    const changes = kind === 'hostile' ? { eventLog: hostileLog(node.eventLog) } : {};
    const expected = kind === 'hostile' ? 403 : 200;
    while (!stopped) {
      const { status, bytes } = await node.attest(changes);
      if (status !== expected) throw new Error(`${kind} evidence: ${status} ${bytes}`);
      counts[kind] += 1;
    }
  }

  return {
    start(): void {
      loops = nodes.map((node, index) => attest(node, index < HONEST_NODES ? 'honest' : 'hostile'));
    },
    async stop() {
      const result = { ...counts };
      stopped = true;
      await Promise.all(loops);
      return result;
    },
  };
}

function hostileLog(honest: Uint8Array): Uint8Array {
  const event = writeEvent({ pcr: 8, type: 0x0d, data: new Uint8Array(0) });
  const count = Math.floor((HOSTILE_LOG_BYTES - honest.length) / event.length);
  return concatBytes(honest, ...Array.from({ length: count }, () => event));
}

async function poll(port: number, caFile: string): Promise<number[]> {
  const poller = fork(POLLER, [String(port), caFile, String(SECONDS)]);
  const [latencies] = (await once(poller, 'message')) as [number[]];
  return latencies.toSorted((a, b) => a - b);
}

function show(sorted: readonly number[]): string {
  const at = (part: number): string =>
    (sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN).toFixed(1);
  return `${at(0.5)}, ${at(0.99)}, ${at(1)}`;
}

if (import.meta.main) console.table(await benchSaturation());
