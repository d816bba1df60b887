import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, statSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, it, onTestFinished } from 'vitest';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import { canonicalOf, ServiceFolder, timestampOf } from './service-fixture.ts';

const PROGRAM = 'bin/boot-signer.mjs';

it('boot-signer begins a state, serves on a socket of the configured mode, and ends when it is told to', async () => {
  const service = new ServiceFolder();
  const { keyId } = await service.addKey('online');
  service.configure({
    socket: { path: 's.sock' },
    roles: [{ role: 'timestamp', keys: ['online'], maxDays: 30 }],
  });
  const config = ['--config', service.configFile];
  const begun = await promisify(execFile)(process.execPath, [PROGRAM, 'init', ...config]);
  expect(begun.stdout).toBe('begun: every role starts at version 1\n');
  const again = promisify(execFile)(process.execPath, [PROGRAM, 'init', ...config]);
  await expect(again).rejects.toMatchObject({ code: 78, stderr: expect.stringContaining('state-exists') });
  const child = spawn(process.execPath, [PROGRAM, 'serve', ...config], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  for (let tries = 0; tries < 200 && !existsSync(service.socketPath); tries += 1) await delay(50);
  expect(statSync(service.socketPath).mode & 0o777).toBe(0o660);
  const canonical = canonicalOf(timestampOf(1));
  const signer = createSigningServiceSigner(service);
  expect(await signer.sign({ role: 'timestamp', keyIds: [keyId], canonical })).toHaveLength(1);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

it.each([
  ['a key that is not known', { keys: [], roles: [{ role: 'timestamp', keys: ['absent'], maxDays: 30 }] }],
  [
    'an unknown setting',
    { roles: [{ role: 'timestamp', keys: ['online'], maxDays: 30, sign: 'everything' }] },
  ],
  [
    'more approvals than people',
    { roles: [{ role: 'stage0', keys: ['online'], maxDays: 3, approvals: { count: 2, people: ['a'] } }] },
  ],
])('boot-signer does not start with %s', async (_what, parts) => {
  const service = new ServiceFolder();
  await service.addKey('online');
  service.configure(parts);
  const started = promisify(execFile)(process.execPath, [PROGRAM, 'serve', '--config', service.configFile]);
  await expect(started).rejects.toMatchObject({
    code: 78,
    stderr: expect.stringContaining('config-invalid'),
  });
});

it('boot-signer reads no YAML that means two things', async () => {
  const service = new ServiceFolder();
  writeFileSync(service.configFile, 'stateDir: a\nstateDir: b\n');
  const started = promisify(execFile)(process.execPath, [PROGRAM, 'serve', '--config', service.configFile]);
  await expect(started).rejects.toMatchObject({
    code: 78,
    stderr: expect.stringContaining('config-invalid'),
  });
});
