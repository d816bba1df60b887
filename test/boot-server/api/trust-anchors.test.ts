import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import { type Authority, createAuthority } from '../../../src/fleet-sim/chip/manufacturer.ts';
import { createSoftwareEk } from '../../../src/fleet-sim/chip/software-ek.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer, reasonsOf } from './published-server.ts';

const PROGRAM = join(import.meta.dirname, '../../../bin/boot-admin.mjs');

let world: PublishedServer;
let maker: Authority;
let bundle: string;
let node: VirtualNode;

beforeAll(async () => {
  world = await PublishedServer.publish();
  maker = await createAuthority('another TPM manufacturer');
  bundle = join(world.folder, 'bundle');
  await mkdir(join(bundle, 'RootCA'), { recursive: true });
  await writeFile(join(bundle, 'RootCA', 'maker.CER'), maker.certificate);
  await writeFile(join(bundle, 'setup.ps1'), 'not a certificate');
  node = await world.createNode({ ek: await createSoftwareEk(maker) });
  await world.list(node);
});

afterAll(() => world.close());

interface Run {
  status: number;
  stdout: string;
  stderr: string;
}

function bootAdmin(...args: string[]): Promise<Run> {
  const socket = ['--socket', world.config.operators.socket];
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...socket, 'trust-anchors', ...args], (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

const eventsOf = (subject: string) =>
  world.database((database) =>
    database
      .prepare('select kind, detail from audit_events where subject = ? order by id')
      .all(subject)
      .map(({ kind, detail }) => ({ kind, ...JSON.parse(String(detail)) })),
  );

describe('boot-admin trust-anchors', () => {
  test('E2 adds an unknown root only when told to, and the next enrolment counts it without a restart', async () => {
    expect(reasonsOf(await node.begin())).toEqual(['ek-certificate-untrusted']);
    const hash = toHex(sha256(maker.certificate));

    const refused = await bootAdmin('add', bundle);
    expect(refused).toMatchObject({ status: 1, stdout: '' });
    expect(refused.stderr).toContain(hash);
    expect(refused.stderr).toContain('--accept-unknown');
    expect(reasonsOf(await node.begin())).toEqual(['ek-certificate-untrusted']);

    const added = await bootAdmin('add', bundle, '--accept-unknown', '--reason', 'ticket 7');
    expect(added).toMatchObject({ status: 0, stdout: expect.stringContaining('1 added, 0 were there') });
    expect((await node.enrol()).json.state).toBe('enrolled');
    expect(eventsOf(hash)).toEqual([
      {
        kind: 'trust-anchor-added',
        name: 'CN=another TPM manufacturer',
        role: 'root',
        status: 'unknown',
        reason: 'ticket 7',
      },
    ]);
  });

  test('lists what is in force with where it comes from', async () => {
    const { stdout } = await bootAdmin('list');
    expect(stdout).toMatch(/root +unknown +- +config .*CN=test TPM manufacturer/);
    expect(stdout).toMatch(/root +unknown +- +operator .*CN=another TPM manufacturer/);
    const { stdout: json } = await bootAdmin('list', '-o', 'json');
    expect(JSON.parse(json).map(({ sha256: hash }: { sha256: string }) => hash)).toContain(
      toHex(sha256(maker.certificate)),
    );
  });

  test('E2 removes what was added, names the nodes it vouched for, and lets them be', async () => {
    const hash = toHex(sha256(maker.certificate));
    const { stdout } = await bootAdmin('remove', hash.slice(0, 12), '--reason', 'stolen key');
    expect(stdout).toBe(
      `removed CN=another TPM manufacturer\nnothing vouches any more for the EK certificates of 1 nodes; they stay until you revoke them:\n${node.id}\n`,
    );
    expect(eventsOf(hash).at(-1)).toMatchObject({ kind: 'trust-anchor-removed', reason: 'stolen key' });
    expect((await world.operators(`/admin/v1/nodes/${node.id}`)).json.status).toBe('enrolled');
    expect(reasonsOf(await node.begin())).toEqual(['ek-certificate-untrusted']);
  });

  test('says which folder of the configuration holds what it may not remove', async () => {
    const { status, stderr } = await bootAdmin('remove', toHex(sha256(world.manufacturer.certificate)));
    expect([status, stderr]).toEqual([
      1,
      expect.stringMatching(/trust-anchor-configured.*vendors.*root\.der/),
    ]);
    expect(await bootAdmin('remove', 'ab'.repeat(6))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('0 certificates or CRLs begin with'),
    });
  });

  test('finds what was added again after a restart', async () => {
    await bootAdmin('add', bundle, '--accept-unknown');
    await world.stop();
    await world.open();
    expect((await bootAdmin('list')).stdout).toContain('CN=another TPM manufacturer');
  });
});
