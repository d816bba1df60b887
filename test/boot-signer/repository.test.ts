import { createPublicKey } from 'node:crypto';
import { copyFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { publicKeyOf } from '../../src/signing/public-key.ts';
import { layoutOf } from '../../src/signing/repository/layout.ts';
import { loadMetadata, trustedMetadata } from '../../src/signing/repository/metadata-folder.ts';
import { SigningDesk } from '../cli/boot-sign-fixture.ts';
import { pemOf, ServiceFolder } from './service-fixture.ts';

// A repository whose keys for daily use are in a signing service, as boot-sign works with it.

const MOVED = ['channel-demo', 'snapshot', 'timestamp'];

/** The channel's key signs what alice approves; snapshot and timestamp are signed at once. */
async function openDesk() {
  const desk = new SigningDesk();
  onTestFinished(() => desk.close());
  desk.nowMs = Date.now();
  expect(await desk.init()).toMatchObject({ status: 0 });
  const service = new ServiceFolder();
  const alice = await service.addKey('alice');
  for (const name of MOVED)
    renameSync(join(desk.repository, 'keys', `${name}.json`), join(service.folder, `${name}.json`));
  copyFileSync(desk.path('passphrase'), join(service.folder, 'key-passphrase'));
  const role = (name: string) => ({ role: name, keys: [name], maxDays: 400 });
  service.configure({
    keys: MOVED.map((name) => ({ name, reference: `file:${name}.json`, secret: 'file:key-passphrase' })),
    approvers: [
      {
        person: 'alice',
        publicKeys: [pemOf(createPublicKey(publicKeyOf(alice.key).export({ type: 'spki', format: 'pem' })))],
      },
    ],
    roles: [
      { ...role('channel-demo'), approvals: { count: 1, people: ['alice'] } },
      role('snapshot'),
      role('timestamp'),
    ],
  });
  await service.initialise(desk.repository);
  await service.start();
  return { desk, service, reach: ['--service', service.socketPath] };
}

it('a release waits for approval, is approved, and comes into force; the audit log tells of it', async () => {
  const { desk, service, reach } = await openDesk();
  const released = await desk.release(1, ...reach, '-o', 'json');
  expect(released).toMatchObject({ status: 79, stderr: expect.stringContaining('signatures-missing') });
  expect((await desk.run('verify', desk.repository)).stdout).not.toContain('channels/demo/1.json');

  const { requests } = JSON.parse((await desk.run('requests', 'list', ...reach, '-o', 'json')).stdout);
  const approver = ['--key', join(service.folder, 'alice.json')];
  const passphrase = ['--passphrase-file', join(service.folder, 'passphrase')];
  const approved = await desk.run(
    'requests',
    'approve',
    requests[0].id,
    ...approver,
    ...passphrase,
    ...reach,
  );
  expect(approved).toMatchObject({ status: 0, stdout: expect.stringContaining('approved by alice') });

  expect(await desk.sign('merge', '--name', 'channel-demo-2', ...reach)).toMatchObject({ status: 0 });
  expect((await desk.run('verify', desk.repository)).stdout).toContain('channels/demo/1.json');
  const audit = await desk.run('audit', 'verify', ...reach, '-o', 'json');
  expect(JSON.parse(audit.stdout).records).toBeGreaterThan(4);
});

it('a version that was signed and lost is passed over', async () => {
  const { desk, reach } = await openDesk();
  const before = await loadMetadata(layoutOf(desk.repository));
  expect(await desk.sign('refresh', ...reach)).toMatchObject({ status: 0 });
  // As if what was signed had never been written.
  const timestamp = before.files.get('timestamp.json') ?? '';
  writeFileSync(join(desk.repository, 'metadata', 'timestamp.json'), timestamp);
  desk.nowMs += 10_000;
  expect(await desk.sign('refresh', ...reach)).toMatchObject({ status: 0 });
  const current = trustedMetadata(await loadMetadata(layoutOf(desk.repository)));
  expect(current.timestamp.version).toBe(3);
});

it('without the service the repository cannot be changed, and says what is missing', async () => {
  const { desk, service } = await openDesk();
  expect(await desk.sign('refresh')).toMatchObject({
    status: 65,
    stderr: expect.stringMatching(/snapshot version 2 needs 1 more of these keys.*tuf-threshold-not-met/),
  });
  const nobody = ['--service', join(service.folder, 'nobody.sock')];
  expect(await desk.sign('refresh', ...nobody)).toMatchObject({ status: 69 });
});
