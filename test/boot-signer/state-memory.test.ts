import { appendFileSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { type AuditHead, encodeRecord, verifyAuditLog } from '../../src/boot-signer/audit/audit-log.ts';
import { createState, stateLayout } from '../../src/boot-signer/state-folder.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { createPrivateKeyFor, type TufKey, tufKeyOf } from '../../src/signing/public-key.ts';
import { composeTargets } from '../../src/signing/tuf/compose.ts';
import { canonicalOf, channelOf, ServiceFolder, snapshotOf } from './service-fixture.ts';

// What was ever signed counts for ever: over restarts, and in states that an older service wrote.

const A = 'a1'.repeat(32);
const B = 'b2'.repeat(32);

async function folder() {
  const service = new ServiceFolder();
  await service.addKey('online');
  await service.addKey('release');
  await service.addKey('offline');
  service.configure({
    roles: [
      { role: 'snapshot', keys: ['online'], maxDays: 30 },
      { role: 'channel-demo', keys: ['release'], maxDays: 30 },
      { role: 'targets', keys: ['offline'], maxDays: 30 },
    ],
  });
  const signer = createSigningServiceSigner(service);
  const sign = (role: string, signed: JsonObject) =>
    signer.sign({
      role,
      keyIds: service.keyIds('online', 'release', 'offline'),
      canonical: canonicalOf(signed),
    });
  return { service, sign };
}

const newKey = (): TufKey => tufKeyOf(createPrivateKeyFor('ed25519'));

function targetsOf(version: number, channels: readonly string[]): JsonObject {
  const ring = () => ({ keys: [newKey()], threshold: 1 });
  const expiresMs = Math.floor(Date.now() / 1000) * 1000 + 3_600_000;
  return composeTargets(
    { version, expiresMs },
    { stage0: ring(), channels: new Map(channels.map((channel) => [channel, ring()])) },
  );
}

it('a withdrawn number is used up, also after kill -9', async () => {
  const { service, sign } = await folder();
  await service.initialise();
  const running = await service.start();
  await sign('channel-demo', channelOf('demo', 1, { 41: A }));
  await sign('channel-demo', channelOf('demo', 2, {}));
  process.kill(running.pid, 'SIGKILL');
  await running.ended;
  await service.start();
  await expect(sign('channel-demo', channelOf('demo', 3, { 41: A }))).rejects.toThrow(/release-withdrawn/);
  await expect(sign('channel-demo', channelOf('demo', 3, { 41: B }))).rejects.toThrow(/release-changed/);
  expect(await sign('channel-demo', channelOf('demo', 3, { 42: A }))).toHaveLength(1);
});

it('a snapshot drops a role with its delegation only, and never lists it lower afterwards', async () => {
  const { service, sign } = await folder();
  await service.initialise();
  await service.start();
  const both = { targets: 1, stage0: 1, 'channel-demo': 5 };
  await sign('targets', targetsOf(1, ['demo']));
  await sign('snapshot', snapshotOf(1, both));
  await expect(sign('snapshot', snapshotOf(2, { targets: 1, stage0: 1 }))).rejects.toThrow(
    /rollback-refused/,
  );
  await sign('targets', targetsOf(2, []));
  await expect(sign('snapshot', snapshotOf(2, { targets: 1, stage0: 1 }))).rejects.toThrow(
    /rollback-refused/,
  );
  await sign('snapshot', snapshotOf(2, { targets: 2, stage0: 1 }));
  await expect(sign('snapshot', snapshotOf(3, { ...both, targets: 2, 'channel-demo': 4 }))).rejects.toThrow(
    /rollback-refused/,
  );
  expect(await sign('snapshot', snapshotOf(3, { ...both, targets: 2 }))).toHaveLength(1);
});

/** A state as a service of format 1 left it: no format, hashes of targets only. */
async function writeOldState({ folder: home, logFile }: ServiceFolder): Promise<void> {
  const layout = stateLayout(`${home}/state`);
  await createState(layout, Date.now(), {
    type: 'initialised',
    roles: {
      'channel-demo': { version: 1, sha256: A, remembered: { 'channels/demo/41.json': A } },
      snapshot: { version: 1, sha256: A, remembered: { 'targets.json': 3, 'channel-demo.json': 5 } },
    },
  });
  let { head }: { head: AuditHead } = verifyAuditLog(readFileSync(logFile));
  const append = (event: JsonObject): void => {
    const record = encodeRecord(head, Date.now(), event);
    head = record.head;
    appendFileSync(logFile, record.line);
  };
  const signed = { type: 'signed', sha256: B, signatures: {}, client: 'local' };
  append({ ...signed, role: 'channel-demo', version: 2, remembered: { 'channels/demo/42.json': B } });
  append({ ...signed, role: 'snapshot', version: 2, remembered: { 'targets.json': 3 } });
}

it('a state of format 1 is read on: what it forgot comes back, and the step is recorded once', async () => {
  const { service, sign } = await folder();
  await writeOldState(service);
  await (await service.start()).stop();
  await service.start();
  const { records } = verifyAuditLog(service.audit());
  expect(records.filter(({ event }) => event.type === 'migrated')).toMatchObject([
    { event: { from: 1, to: 2 } },
  ]);
  await expect(sign('channel-demo', channelOf('demo', 3, { 41: A, 42: B }))).rejects.toThrow(
    /release-withdrawn/,
  );
  await expect(sign('channel-demo', channelOf('demo', 3, { 42: A }))).rejects.toThrow(/release-changed/);
  expect(await sign('channel-demo', channelOf('demo', 3, { 42: B }))).toHaveLength(1);
  const renamed = JSON.parse(JSON.stringify(channelOf('demo', 4, { 42: B })));
  renamed.targets['channels/demo/42.json'].custom.name = 'another name';
  await expect(sign('channel-demo', renamed)).rejects.toThrow(/release-changed/);
  await expect(sign('snapshot', snapshotOf(3, { targets: 3, 'channel-demo': 4 }))).rejects.toThrow(
    /rollback-refused/,
  );
});

it('a state of a newer format is left alone', async () => {
  const { service } = await folder();
  const layout = stateLayout(`${service.folder}/state`);
  await createState(layout, Date.now(), { type: 'initialised', format: 99, roles: {} });
  const { isReady, ended, stderr } = await service.start();
  expect({ isReady, code: await ended }).toEqual({ isReady: false, code: 78 });
  expect(stderr()).toContain('state-newer');
});
