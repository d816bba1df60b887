import { readdir, readFile, writeFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type BootServerProcess,
  findFreePort,
  startBootServerProcess,
} from '../../../lab/boot-server-process.ts';
import { createCleanup } from '../../../lab/cleanup.ts';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import { createSoftwareEk } from '../../../src/fleet-sim/chip/software-ek.ts';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { type Answer, createHttpsClient } from '../../../src/fleet-sim/wire/https-client.ts';
import { PublishedServer } from './published-server.ts';

// The server in a process of its own, ended by SIGKILL in the middle of things. Where the middle of a
// transaction is meant, this process holds the database's write lock meanwhile.

const cleanup = createCleanup();
let world: PublishedServer;
let running: BootServerProcess;
let port: number;
let configFile: string;
const nodes: VirtualNode[] = [];

beforeAll(async () => {
  world = await PublishedServer.publish();
  await world.stop();
  port = await findFreePort();
  configFile = join(world.folder, 'boot-server.yaml');
  const ports = [`agents: { port: ${port} }`, 'firmware: { port: 0 }'];
  const others = ['dataDir: data', 'tpmVendors: [vendors]', 'admission: { channel: demo }'];
  await writeFile(configFile, [...others, ...ports, ''].join('\n'));
  await start();
}, 60_000);

afterAll(async () => {
  for (const node of nodes) node.close();
  await running.kill();
  await world.close();
  cleanup.close();
});

async function start(): Promise<void> {
  running = await startBootServerProcess({ configFile, logFile: join(world.folder, 'server.log') }, cleanup);
}

async function killAndRestart(): Promise<void> {
  await running.kill();
  await start();
}

async function createNode(): Promise<VirtualNode> {
  const node = await VirtualNode.create({
    door: { port, ca: await serverCa() },
    ek: await createSoftwareEk(world.manufacturer),
    eventLog: logOfStage0(world.stage0.image),
    stage0Build: 1,
  });
  nodes.push(node);
  await world.list(node);
  return node;
}

const serverCa = () => readFile(join(world.config.dataDir, 'tls', 'ca.pem'), 'utf8');

async function servedTimestamp(): Promise<number> {
  const client = createHttpsClient({ port, ca: await serverCa() });
  const { json } = await client.call('/v1/tuf/timestamp.json');
  client.close();
  return json.signed.version;
}

/** SIGKILL while the server waits for the write lock with the transaction of this request. */
async function killInTransaction(request: () => Promise<Answer>): Promise<void> {
  const lock = new DatabaseSync(join(world.config.dataDir, 'state.db'));
  lock.exec('begin immediate');
  const answer = request().then(
    ({ status }) => (status < 500 ? 'acknowledged' : 'failed'),
    () => 'broken off',
  );
  await new Promise((resolve) => setTimeout(resolve, 400));
  await running.kill();
  expect(await answer).not.toBe('acknowledged');
  lock.exec('rollback');
  lock.close();
  await start();
}

const hashOf = (bytes: Uint8Array) => toHex(sha256(bytes));

async function statusOf(hash: string): Promise<number> {
  return (await world.operators(`/admin/v1/artifacts/${hash}`, { method: 'HEAD' })).status;
}

async function temporaryFiles(): Promise<string[]> {
  const names = await readdir(join(world.config.dataDir, 'artifacts'), { recursive: true });
  return names.filter((name) => name.endsWith('.tmp'));
}

/** What the server said yes to: asked for once more after the last kill. */
const acknowledged: (() => Promise<void>)[] = [];

test('O1 in an upload: nothing of it is left, and the next one is taken', async () => {
  const broken = Buffer.alloc(300_000, 'broken off');
  const socket = createConnection(world.config.operators.socket);
  socket.on('error', () => undefined);
  const head = [`PUT /admin/v1/artifacts/${hashOf(broken)} HTTP/1.1`, 'host: x'];
  const type = 'content-type: application/octet-stream';
  socket.write([...head, type, `content-length: ${broken.length}`, '', ''].join('\r\n'));
  socket.write(broken.subarray(0, 200_000));
  await expect.poll(temporaryFiles).toHaveLength(1);
  await killAndRestart();
  expect(await temporaryFiles()).toEqual([]);
  expect(await statusOf(hashOf(broken))).toBe(404);
  expect((await world.putArtifact(hashOf(broken), broken)).status).toBe(201);
  acknowledged.push(async () => expect(await statusOf(hashOf(broken)), 'the artifact').toBe(200));
});

test('O1 in an enrolment: there is no node, and the same answer makes one', async () => {
  const node = await createNode();
  const offer = (await node.begin()).json;
  const body = await node.activationBody(offer);
  await killInTransaction(() => node.activate(offer.id, body));
  expect((await world.operators(`/admin/v1/nodes/${node.id}`)).status).toBe(404);
  expect((await node.activate(offer.id, body)).json.state, 'the enrolment was acknowledged').toBe('enrolled');
  acknowledged.push(async () => {
    expect((await world.operators(`/admin/v1/nodes/${node.id}`)).json.status).toBe('enrolled');
    expect((await node.attest()).status, 'the node').toBe(200);
  });
});

test('O1 in a verdict: the challenge is still good, and good once', async () => {
  const node = await createNode();
  await node.enrol();
  const evidence = await node.evidence(await node.challenge(), 'boot');
  await killInTransaction(() => node.submit(evidence));
  const accepted = await node.submit(evidence);
  expect(accepted.status).toBe(200);
  acknowledged.push(async () => {
    expect((await node.submit(evidence)).json.reasons[0].code).toBe('nonce-consumed');
    const answer = await node.fetch(hashOf(world.release.kernel), accepted.json.grant);
    expect(answer.bytes.equals(world.release.kernel), 'the grant').toBe(true);
  });
});

test('O1 in a publication: the old one is served whole', async () => {
  expect(await servedTimestamp()).toBe(3);
  await world.desk.addRelease(2);
  for (const [hash, bytes] of world.desk.artifacts) await world.putArtifact(hash, bytes);
  await killInTransaction(() => world.postMetadata(world.desk.filesInForce()));
  expect(await servedTimestamp()).toBe(3);
  expect((await world.postMetadata(world.desk.filesInForce())).status).toBe(200);
  acknowledged.push(async () => expect(await servedTimestamp(), 'the publication').toBe(4));
});

test('O1 what was acknowledged is there after one more kill', async () => {
  await killAndRestart();
  expect(acknowledged).toHaveLength(4);
  for (const isThere of acknowledged) await isThere();
});
