import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BaseFetcher, Updater } from 'tuf-js';
import { DownloadHTTPError } from 'tuf-js/dist/error.js';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { HttpsClient } from '../../../src/fleet-sim/wire/https-client.ts';
import { createPrivateKeyFor, type Scheme } from '../../../src/signing/public-key.ts';
import { createKeySigner } from '../../../src/signing/signer.ts';
import { verifyMetadata } from '../../../src/signing/tuf/verify-metadata.ts';
import { PublishedServer } from '../../boot-server/api/published-server.ts';
import { GRANT_KEY, listingOf, MANIFEST, SIGNERS } from './tuf-fixture.ts';
import { addRelease, createRepository } from './write-with-keys.ts';

/** tuf-js over the agents' door: our CA, TLS 1.3, no client certificate. */
class DoorFetcher extends BaseFetcher {
  readonly asked: string[] = [];
  private readonly door: HttpsClient;

  constructor(door: HttpsClient) {
    super();
    this.door = door;
  }

  override async fetch(url: string) {
    const { pathname } = new URL(url);
    this.asked.push(pathname);
    const { status, bytes } = await this.door.call(pathname);
    if (status !== 200) throw new DownloadHTTPError(pathname, status);
    return new Blob([new Uint8Array(bytes)]).stream();
  }
}

describe('tuf-js updates from a running boot server', () => {
  let server: PublishedServer;
  let folder: string;
  let initialRoot: Uint8Array;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bootward-independent-'));
    server = await PublishedServer.publish();
    initialRoot = server.desk.files.get('1.root.json') ?? new Uint8Array();
    await server.desk.reissue('root', () => undefined);
    expect((await server.publishDesk()).status).toBe(200);
  });
  afterAll(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  async function createClient(name: string, root = initialRoot) {
    const metadataDir = join(folder, name);
    mkdirSync(metadataDir);
    writeFileSync(join(metadataDir, 'root.json'), root);
    const fetcher = new DoorFetcher(await server.stranger());
    const metadataBaseUrl = 'https://door/v1/tuf';
    return { metadataDir, fetcher, updater: new Updater({ metadataDir, metadataBaseUrl, fetcher }) };
  }

  it('from root 1 by the chain to the release of a delegated channel', async () => {
    const { updater, fetcher, metadataDir } = await createClient('good');
    await updater.refresh();
    const { target, length, sha256 } = server.release.listing;
    const info = await updater.getTargetInfo(target);
    expect(info).toMatchObject({ length, hashes: { sha256 } });
    expect(fetcher.asked.slice(0, 3)).toEqual([
      '/v1/tuf/2.root.json',
      '/v1/tuf/3.root.json',
      '/v1/tuf/timestamp.json',
    ]);
    expect(readdirSync(metadataDir)).toEqual(expect.arrayContaining(['channel-demo.json', 'snapshot.json']));
  });

  it('S1 and refuses it all from the root of somebody else', async () => {
    const stranger = await server.openDesk('theirs');
    const { updater } = await createClient('stranger', stranger.files.get('1.root.json'));
    await expect(updater.refresh()).rejects.toThrow(/sign|threshold/i);
  });

  it('finds no release that is not listed', async () => {
    const { updater } = await createClient('unlisted');
    await updater.refresh();
    expect(await updater.getTargetInfo('channels/demo/2.json')).toBeUndefined();
  });
});

class MemoryFetcher extends BaseFetcher {
  private readonly files: ReadonlyMap<string, Uint8Array>;

  constructor(files: ReadonlyMap<string, Uint8Array>) {
    super();
    this.files = files;
  }

  override async fetch(url: string) {
    const name = new URL(url).pathname.slice(1);
    const bytes = this.files.get(name);
    if (bytes === undefined) throw new DownloadHTTPError(name, 404);
    return new Blob([new Uint8Array(bytes)]).stream();
  }
}

async function refreshed(targets: Scheme, channel: Scheme): Promise<Updater> {
  const expiry = { offlineMs: Date.now() + 1e9, onlineMs: Date.now() + 1e8 };
  const signer = (scheme: Scheme) => [createKeySigner(createPrivateKeyFor(scheme))];
  const channels = new Map([['demo', signer(channel)]]);
  const signers = { ...SIGNERS, targets: signer(targets), channels };
  const files = new Map<string, Uint8Array>();
  const keep = (change: readonly { name: string; bytes: Uint8Array }[]) => {
    for (const { name, bytes } of change) files.set(name, bytes);
  };
  keep(await createRepository({ signers, grantKeys: [GRANT_KEY], expiry }));
  const trustedRoot = files.get('1.root.json') ?? new Uint8Array();
  const current = verifyMetadata({ trustedRoot, files, nowMs: Date.now() });
  const demo = { ...signers, channel: channels.get('demo') ?? [] };
  keep(await addRelease({ current, release: listingOf(MANIFEST), signers: demo, expiry }));
  expect(() => verifyMetadata({ trustedRoot, files, nowMs: Date.now() })).not.toThrow();
  const metadataDir = mkdtempSync(join(tmpdir(), 'bootward-mixed-'));
  onTestFinished(() => rmSync(metadataDir, { recursive: true, force: true }));
  writeFileSync(join(metadataDir, 'root.json'), trustedRoot);
  const updater = new Updater({
    metadataDir,
    metadataBaseUrl: 'https://door',
    fetcher: new MemoryFetcher(files),
  });
  await updater.refresh();
  return updater;
}

describe('tuf-js and we agree on mixed key schemes', () => {
  it.each([
    ['ecdsa-sha2-nistp256', 'ed25519'],
    ['ed25519', 'ecdsa-sha2-nistp256'],
    ['rsassa-pss-sha256', 'ecdsa-sha2-nistp256'],
  ] as const)('targets by %s, the channel by %s', async (targets, channel) => {
    const updater = await refreshed(targets, channel);
    expect(await updater.getTargetInfo(listingOf(MANIFEST).target)).toBeDefined();
  });
});
