import { afterEach, beforeEach, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import { PublishedServer } from './published-server.ts';
import { CHANNEL, type SignedRelease } from './release-desk.ts';

const DAY_SECONDS = 86_400;

let world: PublishedServer;
let second: SignedRelease;

beforeEach(async () => {
  world = await PublishedServer.publish(['grantTtlSeconds: 3600']);
  second = await world.desk.addRelease(2);
  await world.publishDesk();
});

afterEach(() => world.close());

async function removeUnused(): Promise<number> {
  const body = { dryRun: false };
  const { json } = await world.operators('/admin/v1/artifacts/remove-unused', { method: 'POST', body });
  return json.count;
}

async function isStored(bytes: Uint8Array): Promise<boolean> {
  const path = `/admin/v1/artifacts/${toHex(sha256(bytes))}`;
  return (await world.operators(path, { method: 'HEAD' })).status === 200;
}

async function withdrawFirst(): Promise<void> {
  await world.desk.withdraw(`channel-${CHANNEL}`, world.release.listing.target);
  await world.postMetadata(world.desk.filesInForce());
}

test('what is listed stays, however old', async () => {
  world.clock.advance(2 * DAY_SECONDS);
  expect(await removeUnused()).toBe(0);
  expect(await isStored(world.release.kernel)).toBe(true);
});

test('what was withdrawn goes after a day, and nothing else', async () => {
  await withdrawFirst();
  expect(await removeUnused()).toBe(0);
  world.clock.advance(2 * DAY_SECONDS);
  expect(await removeUnused()).toBe(3);
  expect(await isStored(world.release.manifest)).toBe(false);
  for (const bytes of [second.manifest, second.kernel, second.initramfs, world.stage0.image])
    expect(await isStored(bytes)).toBe(true);
});

test('an upload that is not published yet stays for a day', async () => {
  const early = Buffer.from('uploaded before its metadata');
  await world.putArtifact(toHex(sha256(early)), early);
  world.clock.advance(DAY_SECONDS / 2);
  expect(await removeUnused()).toBe(0);
  expect(await isStored(early)).toBe(true);
});

test('a slot keeps a withdrawn release whole', async () => {
  const path = `/admin/v1/channels/${CHANNEL}/stage`;
  await world.operators(path, { method: 'POST', body: { version: 1 } });
  await withdrawFirst();
  world.clock.advance(2 * DAY_SECONDS);
  expect(await removeUnused()).toBe(0);
  expect(await isStored(world.release.kernel)).toBe(true);
});

test('so does the open grant of a node', async () => {
  await world.operators(`/admin/v1/channels/${CHANNEL}/stage`, { method: 'POST', body: { version: 1 } });
  const node = await world.enrolledNode();
  world.clock.advance(2 * DAY_SECONDS);
  await node.grant();
  await world.operators(`/admin/v1/channels/${CHANNEL}/follow`, { method: 'POST', body: {} });
  await world.desk.withdraw(`channel-${CHANNEL}`, second.listing.target);
  await world.postMetadata(world.desk.filesInForce());
  expect(await removeUnused()).toBe(0);
  world.clock.advance(3601);
  expect(await removeUnused()).toBe(3);
  expect(await isStored(second.kernel)).toBe(false);
});
