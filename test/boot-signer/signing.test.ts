import { describe, expect, it } from 'vitest';
import { verifyAuditLog } from '../../src/boot-signer/audit/audit-log.ts';
import { createSigningServiceSigner } from '../../src/cli/boot-sign/signing-service-client.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import { verifySignature } from '../../src/signing/public-key.ts';
import { canonicalOf, channelOf, ServiceFolder, snapshotOf, timestampOf } from './service-fixture.ts';

const A = 'a1'.repeat(32);
const B = 'b2'.repeat(32);

async function onlineService() {
  const service = new ServiceFolder();
  await service.addKey('online');
  await service.addKey('release');
  service.configure({
    roles: [
      { role: 'snapshot', keys: ['online'], maxDays: 30 },
      { role: 'timestamp', keys: ['online'], maxDays: 30 },
      { role: 'channel-demo', keys: ['release'], maxDays: 30 },
    ],
  });
  await service.initialise();
  const running = await service.start();
  const signer = createSigningServiceSigner(service);
  const sign = (role: string, signed: JsonObject, keys = ['online', 'release']) =>
    signer.sign({ role, keyIds: service.keyIds(...keys), canonical: canonicalOf(signed) });
  return { service, running, sign, signer };
}

describe('a request that policy allows', () => {
  it('is signed by the key of its role, and by no other', async () => {
    const { service, sign } = await onlineService();
    const timestamp = timestampOf(1);
    const signatures = await sign('timestamp', timestamp);
    const online = service.signers.get('online');
    expect(signatures.map(({ keyId }) => keyId)).toEqual([online?.keyId]);
    expect(
      online && verifySignature(online.key, canonicalOf(timestamp), signatures[0]?.signature ?? ''),
    ).toBe(true);
  });

  it('is signed again with the same answer, and once in the log', async () => {
    const { service, sign } = await onlineService();
    const timestamp = timestampOf(1);
    const first = await sign('timestamp', timestamp);
    expect(await sign('timestamp', timestamp)).toEqual(first);
    const { records } = verifyAuditLog(service.audit());
    expect(records.filter(({ event }) => event.type === 'signed')).toHaveLength(1);
  });

  it('is answered with nothing when no key is here', async () => {
    const { sign } = await onlineService();
    expect(await sign('timestamp', timestampOf(1), ['0'.repeat(64)])).toEqual([]);
    expect(await sign('stage0', timestampOf(1))).toEqual([]);
  });
});

describe('a client that was taken over', () => {
  it('gets neither an older version, nor another content, nor a version ahead', async () => {
    const { sign } = await onlineService();
    await sign('timestamp', timestampOf(1));
    await sign('timestamp', timestampOf(2));
    await expect(sign('timestamp', timestampOf(1))).rejects.toThrow(/version-not-next/);
    await expect(sign('timestamp', timestampOf(2, 2, 48))).rejects.toThrow(/version-taken/);
    await expect(sign('timestamp', timestampOf(4))).rejects.toThrow(/version-not-next/);
  });

  it('R9 gets no timestamp of a time that goes back, or that is not yet', async () => {
    const { sign } = await onlineService();
    const now = Math.floor(Date.now() / 1000);
    await sign('timestamp', timestampOf(1, 1, 24, now));
    await expect(sign('timestamp', timestampOf(2, 2, 24, now - 1))).rejects.toThrow(/rollback-refused/);
    await expect(sign('timestamp', timestampOf(2, 2, 24, now + 90))).rejects.toThrow(/rollback-refused/);
    // An older boot-sign writes none: that takes nothing back.
    await sign('timestamp', timestampOf(2));
    await expect(sign('timestamp', timestampOf(3, 3, 24, now - 1))).rejects.toThrow(/rollback-refused/);
    expect(await sign('timestamp', timestampOf(3, 3, 24, now + 1))).toHaveLength(1);
  });

  it('gets no snapshot that goes back, drops a role or runs away', async () => {
    const { sign } = await onlineService();
    await sign('snapshot', snapshotOf(1, { targets: 3, 'channel-demo': 5 }));
    await expect(sign('snapshot', snapshotOf(2, { targets: 2, 'channel-demo': 5 }))).rejects.toThrow(
      /rollback-refused/,
    );
    await expect(sign('snapshot', snapshotOf(2, { 'channel-demo': 5 }))).rejects.toThrow(/rollback-refused/);
    await expect(sign('snapshot', snapshotOf(2, { targets: 2 ** 50, 'channel-demo': 5 }))).rejects.toThrow(
      /rollback-refused/,
    );
    await expect(sign('timestamp', timestampOf(1, 2))).rejects.toThrow(/rollback-refused/);
    expect(await sign('snapshot', snapshotOf(2, { targets: 3, 'channel-demo': 6 }))).toHaveLength(1);
  });

  it('cannot change a release that is listed', async () => {
    const { sign } = await onlineService();
    await sign('channel-demo', channelOf('demo', 1, { 41: A }));
    await expect(sign('channel-demo', channelOf('demo', 2, { 41: B }))).rejects.toThrow(/release-changed/);
    expect(await sign('channel-demo', channelOf('demo', 2, { 42: B }))).toHaveLength(1);
  });

  it('cannot change what is said of a release that is listed', async () => {
    const { sign } = await onlineService();
    const first = channelOf('demo', 1, { 41: A });
    await sign('channel-demo', first);
    const second = JSON.parse(JSON.stringify(channelOf('demo', 2, { 41: A })));
    const renamed = structuredClone(second);
    renamed.targets['channels/demo/41.json'].custom.name = 'another name';
    await expect(sign('channel-demo', renamed)).rejects.toThrow(/release-changed/);
    const longer = structuredClone(second);
    longer.targets['channels/demo/41.json'].length += 1;
    await expect(sign('channel-demo', longer)).rejects.toThrow(/release-changed/);
    expect(await sign('channel-demo', second)).toHaveLength(1);
  });

  it('gets nothing that lives too long or has expired', async () => {
    const { sign } = await onlineService();
    await expect(sign('timestamp', timestampOf(1, 1, 31 * 24))).rejects.toThrow(/expiry-refused/);
    await expect(sign('timestamp', timestampOf(1, 1, -1))).rejects.toThrow(/expiry-refused/);
  });

  it.each<[string, (signed: JsonObject) => string]>([
    ['another role', () => new TextDecoder().decode(canonicalOf(snapshotOf(1, { targets: 1 })))],
    ['another channel', () => new TextDecoder().decode(canonicalOf(channelOf('other', 1, { 1: A })))],
    ['white space', (signed) => ` ${new TextDecoder().decode(canonicalOf(signed))}`],
    ['another order', (signed) => JSON.stringify(Object.fromEntries(Object.entries(signed).reverse()))],
    ['a member more', (signed) => new TextDecoder().decode(canonicalOf({ ...signed, 'x-more': 1 }))],
    ['a second document', (signed) => `${new TextDecoder().decode(canonicalOf(signed))},"x":{}`],
    ['no JSON', () => 'sign these bytes'],
    [
      'characters beyond ASCII',
      (signed) => new TextDecoder().decode(canonicalOf(signed)).replace('targets', 'tärgets'),
    ],
  ])('gets nothing signed that is %s', async (_what, textOf) => {
    const { service, signer } = await onlineService();
    const canonical = Buffer.from(textOf(channelOf('demo', 1, { 1: A })), 'utf8');
    const request = { role: 'channel-demo', keyIds: service.keyIds('release'), canonical };
    await expect(signer.sign(request)).rejects.toThrow(/metadata-refused/);
  });

  it('is slowed down by the limit of the key', async () => {
    const service = new ServiceFolder();
    const { keyId } = await service.addKey('online');
    const keys = [
      { name: 'online', reference: 'file:online.json', secret: 'file:passphrase', signaturesPerMinute: 2 },
    ];
    service.configure({ keys, roles: [{ role: 'timestamp', keys: ['online'], maxDays: 30 }] });
    await service.initialise();
    await service.start();
    const signer = createSigningServiceSigner(service);
    const sign = (version: number) =>
      signer.sign({ role: 'timestamp', keyIds: [keyId], canonical: canonicalOf(timestampOf(version)) });
    await sign(1);
    await sign(2);
    await expect(sign(3)).rejects.toThrow(/rate-limited/);
  });
});
