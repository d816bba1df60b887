import { afterAll, beforeAll, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;

beforeAll(async () => {
  world = await PublishedServer.publish();
});

afterAll(() => world.close());

test('a listed machine enrols by itself, attests, and fetches what its release names', async () => {
  const node = await world.createNode();
  await world.list(node);
  const enrolled = await node.enrol();
  expect(enrolled.json).toMatchObject({
    state: 'enrolled',
    nodeId: node.id,
    ekFingerprint: node.fingerprint,
    facts: { identity: 'certified', admission: 'listed', state: 'measured' },
  });

  await node.powerCycle();
  const { status, json } = await node.attest();
  expect(status, JSON.stringify(json)).toBe(200);
  expect(json).toMatchObject({
    verdict: 'accept',
    reasons: [],
    facts: { identity: 'certified', admission: 'listed', state: 'measured' },
    release: { channel: 'demo', version: 1, digest: world.release.listing.sha256 },
  });

  for (const bytes of [world.release.manifest, world.release.kernel, world.release.initramfs]) {
    const hash = toHex(sha256(bytes));
    const answer = await node.fetch(hash, json.grant);
    expect(answer.status).toBe(200);
    expect(answer.headers.etag).toBe(`"${hash}"`);
    expect(answer.bytes.equals(bytes)).toBe(true);
  }
});
