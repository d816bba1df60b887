import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { FleetReport } from '../../src/fleet-sim/fleet-report.ts';
import { createProgram } from '../../src/fleet-sim/program.ts';
import { PublishedServer } from '../boot-server/api/published-server.ts';
import { CHANNEL } from '../boot-server/api/release-desk.ts';

let world: PublishedServer;
let folder: string;

beforeAll(async () => {
  world = await PublishedServer.publish();
  folder = join(world.folder, 'fleet');
  await writeFile(join(world.folder, 'stage0.efi'), world.stage0.image);
});
afterAll(() => world.close());

async function fleetSim(...args: string[]): Promise<string> {
  let said = '';
  const program = createProgram((text) => {
    said += text;
  });
  await program.exitOverride().parseAsync(args, { from: 'user' });
  return said;
}

async function run(...args: string[]): Promise<FleetReport> {
  const said = await fleetSim(
    ...['run', folder, '--url', `https://127.0.0.1:${world.ports.agents}`],
    ...['--ca', join(world.config.dataDir, 'tls', 'ca.pem')],
    ...['--stage0', join(world.folder, 'stage0.efi'), '--build', '1'],
    ...args,
  );
  return JSON.parse(said) as FleetReport;
}

test('a new fleet says what the server has to be told', async () => {
  const said = await fleetSim('create', folder, '--nodes', '6');
  expect(said).toContain(`boot-admin trust-anchors add ${folder}/manufacturer.der --accept-unknown`);
  expect(said).toContain(`boot-admin ek import ${folder}/eks.txt --channel`);
  await expect(fleetSim('create', folder, '--nodes', '1'), 'not over another one').rejects.toThrow(
    /no fleet was made/,
  );
});

test('a server that was not told refuses it, and the report says why', async () => {
  const report = await run('--nodes', '2');
  expect([report.boots, report.endings]).toEqual([0, { 'refused: enrolment-refused': 2 }]);
  expect(Object.keys(report.faults)).toEqual([expect.stringContaining('ek-certificate-untrusted')]);
});

test('one that was told has it enrol, boot, download and report as it is told to', async () => {
  const bundle = (await readFile(join(folder, 'manufacturer.der'))).toString('base64');
  const pem = `-----BEGIN CERTIFICATE-----\n${bundle}\n-----END CERTIFICATE-----\n`;
  const anchors = { bundle: Buffer.from(pem).toString('base64'), acceptUnknown: true, acceptDifferent: [] };
  expect((await world.operators('/admin/v1/trust-anchors', { method: 'POST', body: anchors })).status).toBe(
    200,
  );
  const lines = (await readFile(join(folder, 'eks.txt'), 'utf8')).trimEnd().split('\n');
  const entries = lines.map((line) => ({ fingerprint: line.slice(0, 64), comment: line.slice(65) }));
  await world.operators('/admin/v1/eks', { method: 'POST', body: { channel: CHANNEL, entries } });

  const report = await run(
    '--downloads',
    '--bad',
    '1',
    '--bad-on',
    '1',
    '--offline',
    '1',
    '--slow',
    '1',
    '--slow-seconds',
    '0',
  );
  expect(report.faults).toEqual({});
  // In a channel without slots there is nothing to fall back to.
  expect(report.endings).toEqual({ restless: 1, off: 1, up: 4 });
  expect(report.versions).toEqual({ 1: { healthy: 4, unhealthy: 0, panicked: 12, hung: 0 } });
  const { manifest, kernel, initramfs } = world.release;
  expect(report.downloadedBytes).toBe(16 * (manifest.length + kernel.length + initramfs.length));
});

test('the same fleet comes back: its keys are kept, and no counter goes back', async () => {
  const report = await run('--nodes', '3', '--waves', '2');
  // The one that was off until now enrols.
  expect([report.enrolments, report.boots, report.endings, report.faults]).toEqual([1, 6, { up: 3 }, {}]);
});

test('it ends after its last second, also when a wave is an hour away', async () => {
  const report = await run('--waves', '2', '--rest-seconds', '3600', '--seconds', '1');
  expect(report.boots).toBeLessThanOrEqual(6);
});
