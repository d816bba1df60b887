import { copyFileSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, it, onTestFinished } from 'vitest';
import {
  createSigningServiceSigner,
  getServiceKeys,
} from '../../src/cli/boot-sign/signing-service-client.ts';
import { callOperators } from '../../src/cli/operators-socket.ts';
import { openKeyFile } from '../../src/signing/keys/key-file.ts';
import { layoutOf } from '../../src/signing/repository/layout.ts';
import { loadMetadata, trustedMetadata } from '../../src/signing/repository/metadata-folder.ts';
import { PASSPHRASE, SigningDesk } from '../cli/boot-sign-fixture.ts';
import { canonicalOf, ServiceFolder, snapshotOf } from './service-fixture.ts';

const ONLINE = ['snapshot', 'timestamp'];

/** A repository as `boot-sign init` makes it, and a service that holds its two online keys. */
async function world() {
  const desk = new SigningDesk();
  onTestFinished(() => desk.close());
  desk.nowMs = Date.now();
  expect((await desk.init('--online-expires-days', '3')).stderr).toBe('');
  expect((await desk.release(1)).stderr).toBe('');
  const service = new ServiceFolder();
  copyFileSync(desk.path('passphrase'), join(service.folder, 'passphrase'));
  for (const role of ONLINE) {
    copyFileSync(join(desk.repository, 'keys', `${role}.json`), join(service.folder, `${role}.json`));
    service.signers.set(role, await openKeyFile(join(service.folder, `${role}.json`), PASSPHRASE));
  }
  const configure = (whenLeftHours: number) =>
    service.configure({
      roles: ONLINE.map((role) => ({ role, keys: [role], maxDays: 5 })),
      refresh: { repository: desk.repository, whenLeftHours },
    });
  configure(24);
  await service.initialise(desk.repository);
  const load = async () => trustedMetadata(await loadMetadata(layoutOf(desk.repository)));
  const waitFor = async (file: string): Promise<void> => {
    for (let tries = 0; tries < 100 && !existsSync(join(desk.repository, 'metadata', file)); tries += 1)
      await delay(50);
  };
  return { desk, service, configure, load, waitFor };
}

async function refreshOf({ socketPath }: ServiceFolder) {
  for (;;) {
    const call = { socketPath, method: 'GET', path: '/v1/refresh', maxAnswerBytes: 4096 } as const;
    const answer = JSON.parse(Buffer.from((await callOperators(call)).body).toString());
    if (answer.signedAt !== undefined) return answer;
    await delay(50);
  }
}

it('a new service goes on where the repository stands', async () => {
  const { service, load } = await world();
  const { snapshot } = await load();
  await service.start();
  const { lastSigned } = await getServiceKeys(service);
  expect(lastSigned).toMatchObject({
    snapshot: { version: snapshot.version },
    'channel-demo': { version: 2 },
  });
});

it('snapshot and timestamp are signed anew when little time is left, and only then', async () => {
  const { desk, service, configure, load, waitFor } = await world();
  const before = await load();
  await (await service.start()).stop();
  expect((await load()).snapshot.version).toBe(before.snapshot.version);
  configure(100);
  const running = await service.start();
  await waitFor(`${before.snapshot.version + 1}.snapshot.json`);
  expect(await refreshOf(service)).toMatchObject({
    signedAt: expect.any(Number),
    timestamp: { timestampVersion: before.timestamp.version + 1, ageSeconds: expect.any(Number) },
    warnings: [],
  });
  await running.stop();
  const after = await load();
  expect(after.timestamp.version).toBe(before.timestamp.version + 1);
  expect(after.timestamp.expiresMs).toBeGreaterThanOrEqual(before.timestamp.expiresMs);
  expect((await desk.run('verify', desk.repository)).status).toBe(0);
});

it('a snapshot that was signed and never written costs a number, nothing else', async () => {
  const { desk, service, configure, load, waitFor } = await world();
  const before = await load();
  const running = await service.start();
  const { version } = before.snapshot;
  const listed = Object.fromEntries(
    [...before.snapshot.meta].map(([file, meta]) => [file.replace('.json', ''), meta.version]),
  );
  const canonical = canonicalOf(snapshotOf(version + 1, listed));
  const signer = createSigningServiceSigner(service);
  expect(await signer.sign({ role: 'snapshot', keyIds: service.keyIds('snapshot'), canonical })).toHaveLength(
    1,
  );
  await running.stop();
  configure(100);
  await service.start();
  await waitFor(`${version + 2}.snapshot.json`);
  expect((await load()).snapshot.version).toBe(version + 2);
  expect((await desk.run('verify', desk.repository)).status).toBe(0);
});
