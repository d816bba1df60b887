import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Flippable, signDocument, testSigner } from '../../signing/tuf/tuf-fixture.ts';
import { PublishedServer } from './published-server.ts';
import type { ReleaseDesk } from './release-desk.ts';

let world: PublishedServer;
let desk: ReleaseDesk;

beforeEach(async () => {
  world = await PublishedServer.publish();
  desk = world.desk;
});
afterEach(() => world.close());

const NEW_KEY = testSigner('timestamp key after the theft');
const ROOT = [testSigner('ours root')];

/** The next root: another timestamp key in the place of the stolen one. */
async function nextRoot(signers = ROOT): Promise<Uint8Array> {
  const { signed } = desk.document('1.root.json') as { signed: Flippable };
  const stolen = signed.roles.timestamp.keyids[0] as string;
  delete signed.keys[stolen];
  signed.keys[NEW_KEY.keyId] = NEW_KEY.key;
  signed.roles.timestamp.keyids = [NEW_KEY.keyId];
  return signDocument({ ...signed, version: 2 }, signers);
}

/** Everything as the stolen key signed it, with this root beside it. */
const withRoot = (root: Uint8Array) => new Map([...desk.filesInForce(), ['2.root.json', root]]);

async function signedByNewKey(): Promise<ReadonlyMap<string, Uint8Array>> {
  const { signed } = desk.document('timestamp.json') as { signed: Flippable };
  return new Map([...withRoot(await nextRoot()), ['timestamp.json', await signDocument(signed, [NEW_KEY])]]);
}

const keptFiles = () =>
  world.database((database) =>
    database
      .prepare('select name from kept_roots')
      .all()
      .map(({ name }) => name),
  );
const served = async (name: string) => (await world.stranger()).call(`/v1/tuf/${name}`);

describe('a publication whose newer root is good and whose timestamp is not', () => {
  test('S7 is refused, and a key that the root took away publishes nothing any more', async () => {
    const refused = await world.postMetadata(withRoot(await nextRoot()));
    expect([refused.status, refused.json.code]).toEqual([422, 'metadata-refused']);
    expect(refused.json.detail).toMatch(/timestamp .*; root version 2 is good, and trusted from now on/);
    await desk.addRelease(2);
    const thief = await world.publishDesk();
    expect([thief.status, thief.json.detail]).toEqual([
      422,
      expect.stringContaining('root is version 1, version 2 was seen'),
    ]);
  });

  test('leaves what is in force as it is', async () => {
    await world.postMetadata(withRoot(await nextRoot()));
    expect((await served('timestamp.json')).json.signed.version).toBe(3);
    expect((await served('2.root.json')).status).toBe(404);
    expect((await (await world.stranger()).call('/readyz')).status).toBe(200);
  });

  test('D10 is remembered by the next start', async () => {
    await world.postMetadata(withRoot(await nextRoot()));
    await world.stop();
    await world.open();
    expect((await served('timestamp.json')).json.signed.version).toBe(3);
    await desk.addRelease(2);
    expect((await world.publishDesk()).json.detail).toMatch(/version 2 was seen/);
  });

  test('S7 comes into force when it is mended, and then nothing is kept beside it', async () => {
    await world.postMetadata(withRoot(await nextRoot()));
    expect(keptFiles()).toEqual(['2.root.json']);
    await world.stop();
    await world.open();
    expect((await world.postMetadata(await signedByNewKey())).status).toBe(200);
    expect((await served('2.root.json')).status).toBe(200);
    expect(keptFiles()).toEqual([]);
  });

  test('keeps no other root of the same version', async () => {
    await world.postMetadata(withRoot(await nextRoot()));
    const other = new Map(await signedByNewKey());
    const { signed } = JSON.parse(Buffer.from(other.get('2.root.json') ?? []).toString());
    const expires = new Date(Date.parse(signed.expires) - 1000).toISOString().replace('.000Z', 'Z');
    other.set('2.root.json', await signDocument({ ...signed, expires }, ROOT));
    expect((await world.postMetadata(other)).json.detail).toMatch(
      /root version 2 was seen with other bytes$/,
    );
  });
});

test('S5 a root that the one before did not sign is not kept', async () => {
  const refused = await world.postMetadata(withRoot(await nextRoot([testSigner('stranger')])));
  expect(refused.json.detail).not.toMatch(/trusted from now on/);
  expect(keptFiles()).toEqual([]);
  await desk.addRelease(2);
  expect((await world.publishDesk()).status).toBe(200);
});

test('S5 of two newer roots the good one is kept', async () => {
  const files = withRoot(await nextRoot());
  files.set('3.root.json', await signDocument({ _type: 'root' } as Flippable, [testSigner('stranger')]));
  expect((await world.postMetadata(files)).json.detail).toMatch(/root version 2 is good/);
  expect(keptFiles()).toEqual(['2.root.json']);
});
