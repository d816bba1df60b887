import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { logOfStage0 } from '../../../src/fleet-sim/firmware/stage0-log.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

// A day of an operator, command by command, with the real program. A test needs the ones before it.

const PROGRAM = join(import.meta.dirname, '../../../bin/boot-admin.mjs');

let world: PublishedServer;
let node: VirtualNode;
let file: string;

beforeAll(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
  file = join(world.folder, 'policy.yaml');
});
afterAll(() => world.close());

async function bootAdmin(...args: string[]): Promise<{ status: number; text: string }> {
  const { socket } = world.config.operators;
  return new Promise((resolve) =>
    execFile(process.execPath, [PROGRAM, '--socket', socket, ...args], (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, text: stdout + stderr }),
    ),
  );
}

test('the built-in policy is where an operator starts from', async () => {
  const { status, text } = await bootAdmin('policy', 'built-in');
  expect(status).toBe(0);
  await writeFile(file, text.replace('["my-channel"]', '[demo]').replace('"my-policy"', 'edge'));
});

test('it changes nothing for the nodes, as a trial says before it is applied', async () => {
  expect((await node.attest()).status).toBe(200);
  const trial = await bootAdmin('policy', 'test', file);
  expect(trial.text).toMatch(new RegExp(`${node.id} +accept +accept +none`));
  expect(trial.status).toBe(0);
  expect((await bootAdmin('policy', 'apply', file)).text).toBe('policy edge, version 1, is in force\n');
  expect((await bootAdmin('policy', 'apply', file)).text).toContain('was in force already');
  expect((await bootAdmin('policy', 'list')).text).toMatch(/edge +1 +demo/);
  expect((await bootAdmin('policy', 'show', 'edge')).text).toContain('format: bootward-policy-v1');
  expect((await node.attest()).status).toBe(200);
});

test('a trial of one that loses a node says which and why, by its exit status too', async () => {
  const strict = join(world.folder, 'strict.yaml');
  const { text } = await bootAdmin('policy', 'show', 'edge');
  await writeFile(
    strict,
    text.replace('version: 1', 'version: 2').replace('db: any', `db: ["${'ab'.repeat(32)}"]`),
  );
  const trial = await bootAdmin('policy', 'test', strict, '--node', node.id);
  expect(trial.text).toMatch(new RegExp(`${node.id} +accept +refuse +secure-boot-db`));
  expect(trial.status).toBe(1);
});

test('one that does not parse is refused with the place', async () => {
  const broken = join(world.folder, 'broken.yaml');
  await writeFile(broken, 'format: bootward-policy-v1\nname: edge\n');
  const { status, text } = await bootAdmin('policy', 'apply', broken);
  expect(status).toBe(1);
  expect(text).toMatch(/policy-refused: version: expected it to be there/);
});

test('a firmware update holds the node until an operator approves it by the number of the verdict', async () => {
  node.eventLog = logOfStage0(world.stage0.image, { firmware: '2.0' });
  expect(reasonsOf(await node.attest())).toEqual(['firmware-changed']);
  const verdict = (await world.operators(`/admin/v1/nodes/${node.id}`)).json.verdicts[0].id;
  const shown = await bootAdmin('verdicts', 'show', String(verdict));
  expect(shown.text).toContain('hold firmware-changed');
  expect(shown.text).toContain('EV_S_CRTM_VERSION');
  const approved = await bootAdmin('firmware', 'approve', String(verdict), '--all', '--name', 'ACME 2.0');
  expect(approved.text).toBe(`approval 1: what verdict ${verdict} measured is good for every node\n`);
  expect((await bootAdmin('firmware', 'list')).text).toMatch(/1 +ACME 2\.0 +every node/);
  expect((await node.attest()).status).toBe(200);
  expect((await bootAdmin('firmware', 'withdraw', '1')).text).toBe('approval 1 is withdrawn\n');
  expect((await node.attest()).status, 'it is the baseline of this node now').toBe(200);
});

test('a node that betrays itself stands in the list as suspect, and in the events', async () => {
  await node.attest();
  await node.prove('health', 'ab'.repeat(32));
  expect((await bootAdmin('nodes', 'list')).text).toMatch(new RegExp(`${node.id} +enrolled, suspect`));
  const events = await bootAdmin('events', 'list');
  expect(events.text).toMatch(new RegExp(`node-suspect +${node.id} +reason=pcr14-not-release`));
  expect(events.text).toMatch(/firmware-approved +1 +name=ACME 2\.0 for=all/);
  const after = await bootAdmin('events', 'list', '--after', '100000');
  expect(after.text.split('\n').filter((line) => line !== '')).toHaveLength(1);
});

test('what was withdrawn is known, and the built-in policy decides again', async () => {
  expect((await bootAdmin('policy', 'withdraw', 'edge', '--reason', 'trial is over')).status).toBe(0);
  expect((await bootAdmin('policy', 'history', 'edge')).text).toMatch(/1 +false/);
  expect((await bootAdmin('policy', 'list')).text).not.toContain('edge');
  expect((await node.attest()).status).toBe(200);
});

test.each([
  ['firmware', 'approve', 'one'],
  ['firmware', 'approve', '1', '--all', '--channel', 'demo'],
  ['events', 'list', '--after', '-1'],
])('%s %s %s is a usage error', async (...args) => {
  expect((await bootAdmin(...args)).status).toBe(64);
});
