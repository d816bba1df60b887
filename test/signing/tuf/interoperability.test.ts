import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Updater } from 'tuf-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromHex, sha256, toHex } from '../../../src/core/bytes.ts';
import { encodeReleaseManifest } from '../../../src/signing/manifest.ts';
import { publicKeyOf } from '../../../src/signing/public-key.ts';
import { parseEnvelope } from '../../../src/signing/tuf/envelope.ts';
import { verifyMetadata } from '../../../src/signing/tuf/verify-metadata.ts';
import { GRANT_KEY, listingOf, MANIFEST, SIGNERS, signDocument, TestRepository } from './tuf-fixture.ts';
import { addRelease, createRepository } from './write-with-keys.ts';

const hasTool = (name: string): boolean => spawnSync(name, ['--version']).error === undefined;
const hasOpenssl = spawnSync('openssl', ['version']).error === undefined;

let folder: string;
let repository: TestRepository;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootward-tuf-'));
  repository = await TestRepository.create();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const typeOf = (name: string) => {
  const role = name.replace(/^\d+\.|\.json$/g, '').replace(/\.json$/, '');
  return role === 'root' || role === 'timestamp' || role === 'snapshot' ? role : 'targets';
};

describe.skipIf(!hasTool('jq'))('jq', () => {
  const canonicalByJq = (bytes: Uint8Array): Buffer =>
    execFileSync('jq', ['-cjS', '.signed'], { input: bytes });

  const ours = (name: string, bytes: Uint8Array): Uint8Array =>
    parseEnvelope({ role: 'any', type: typeOf(name), bytes, maxBytes: 1e6 }).canonical;

  it('makes the canonical form of every file that we write, byte for byte', () => {
    for (const [name, bytes] of repository.files)
      expect(Buffer.from(ours(name, bytes)).equals(canonicalByJq(bytes)), name).toBe(true);
  });

  it('S8 agrees on quotes, backslashes, every printable character, depth and the largest integers', async () => {
    const printable = Array.from({ length: 95 }, (_, index) => String.fromCharCode(32 + index)).join('');
    const strange = {
      ...repository.document('timestamp.json').signed,
      [printable]: printable,
      'a"b\\c': ['\\', '"', '', { z: 1, A: 2, a: 3, 'a b': true, '10': null, '9': false }],
      numbers: [0, -1, 2 ** 53 - 1, -(2 ** 53 - 1), 1e15, 4294967296],
    };
    const bytes = await signDocument(strange, SIGNERS.timestamp);
    expect(Buffer.from(ours('timestamp.json', bytes)).toString()).toBe(canonicalByJq(bytes).toString());
  });

  it.skipIf(!hasOpenssl)('and openssl verify a signature as the agent does', () => {
    for (const name of ['1.root.json', 'timestamp.json', '2.channel-demo.json']) {
      const document = repository.document(name);
      const signer = [...SIGNERS.root, ...SIGNERS.timestamp, ...(SIGNERS.channels.get('demo') ?? [])].find(
        ({ keyId }) => keyId === document.signatures[0].keyid,
      );
      const files = {
        message: join(folder, 'message'),
        sig: join(folder, 'sig'),
        key: join(folder, 'key.pem'),
      };
      writeFileSync(files.message, canonicalByJq(repository.bytes(name)));
      writeFileSync(files.sig, fromHex(document.signatures[0].sig));
      writeFileSync(files.key, signer ? publicKeyOf(signer.key).export({ type: 'spki', format: 'pem' }) : '');
      const verify = () =>
        spawnSync('openssl', [
          ...['pkeyutl', '-verify', '-pubin', '-inkey', files.key, '-rawin'],
          ...['-in', files.message, '-sigfile', files.sig],
        ]).status;
      expect(verify(), name).toBe(0);
      writeFileSync(files.message, `${canonicalByJq(repository.bytes(name))} `);
      expect(verify(), name).not.toBe(0);
    }
  });
});

describe('tuf-js, an independent client', () => {
  // tuf-js reads the clock: this repository is good for a year from the moment the test runs.
  const manifest = encodeReleaseManifest(MANIFEST);
  const files = new Map<string, Uint8Array>();
  let server: Server;
  let url: string;

  beforeAll(async () => {
    const expiry = { offlineMs: Date.now() + 1e9, onlineMs: Date.now() + 1e8 };
    for (const { name, bytes } of await createRepository({
      signers: SIGNERS,
      grantKeys: [GRANT_KEY],
      expiry,
    }))
      files.set(`/metadata/${name}`, bytes);
    const stored = new Map([...files].map(([path, bytes]) => [path.slice(10), bytes]));
    const trustedRoot = stored.get('1.root.json') ?? new Uint8Array();
    const current = verifyMetadata({ trustedRoot, files: stored, nowMs: Date.now() });
    const signers = { ...SIGNERS, channel: SIGNERS.channels.get('demo') ?? [] };
    for (const { name, bytes } of await addRelease({
      current,
      release: listingOf(MANIFEST),
      signers,
      expiry,
    }))
      files.set(`/metadata/${name}`, bytes);
    files.set(`/targets/channels/demo/${toHex(sha256(manifest))}.1.json`, manifest);
    server = createServer((request, response) => {
      const bytes = files.get(request.url ?? '');
      response.writeHead(bytes === undefined ? 404 : 200).end(bytes);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  function createClient(name: string): Updater {
    const metadataDir = join(folder, name, 'metadata');
    const targetDir = join(folder, name, 'targets');
    for (const path of [metadataDir, targetDir]) mkdirSync(path, { recursive: true });
    writeFileSync(join(metadataDir, 'root.json'), files.get('/metadata/1.root.json') ?? '');
    return new Updater({
      metadataDir,
      metadataBaseUrl: `${url}/metadata`,
      targetDir,
      targetBaseUrl: `${url}/targets`,
      config: { fetchRetry: 0 },
    });
  }

  it('follows the delegation to the release and fetches its manifest', async () => {
    const client = createClient('good');
    await client.refresh();
    const target = await client.getTargetInfo('channels/demo/1.json');
    expect(target?.custom).toEqual({ version: 1, architecture: 'x86-64', name: 'demo release 1' });
    const path = await client.downloadTarget(target as NonNullable<typeof target>);
    expect(readFileSync(path)).toEqual(Buffer.from(manifest));
  });

  it('finds no release that is not listed', async () => {
    const client = createClient('unlisted');
    await client.refresh();
    expect(await client.getTargetInfo('channels/demo/2.json')).toBeUndefined();
    expect(await client.getTargetInfo('channels/pi-stable/1.json')).toBeUndefined();
  });

  it('refuses the altered twin of what it accepts', async () => {
    const good = files.get('/metadata/timestamp.json') ?? new Uint8Array();
    files.set(
      '/metadata/timestamp.json',
      Buffer.from(Buffer.from(good).toString().replace('"version": 2', '"version": 3')),
    );
    await expect(createClient('altered').refresh()).rejects.toThrow();
    files.set('/metadata/timestamp.json', good);
    await expect(createClient('unaltered').refresh()).resolves.toBeUndefined();
  });
});
