import { createHash, randomBytes } from 'node:crypto';
import { open, rename, truncate, writeFile } from 'node:fs/promises';
import { Agent, type RequestOptions, request } from 'node:https';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { sendArtifact } from '../../src/boot-server/delivery/send-artifact.ts';
import {
  createVerifiedSlices,
  SLICE_BYTES,
  type VerifiedSlices,
} from '../../src/boot-server/delivery/verified-slices.ts';
import { type AgentsApp, createAgentsDoor, type Door } from '../../src/boot-server/doors.ts';
import { type ArtifactStore, createArtifactStore } from '../../src/storage/artifact-store.ts';
import { temporaryFolder } from '../temporary-folder.ts';
import { createTlsFixture, type TlsFixture } from './tls-fixture.ts';

const BYTES = randomBytes(24 * SLICE_BYTES + 1234);
const NAME = nameOf(BYTES);
const ETAG = `"${NAME}"`;

function nameOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

let fixture: TlsFixture;
let folder: string;
let store: ArtifactStore;
let slices: VerifiedSlices;
let door: Door<AgentsApp>;
let port: number;
/** What the by-name address serves. */
let current: string;

beforeAll(async () => {
  fixture = await createTlsFixture();
});
afterAll(() => fixture.remove());

beforeEach(async () => {
  folder = await temporaryFolder();
  store = await createArtifactStore({ folder });
  await put(BYTES);
  current = NAME;
  await openDoor({ cacheBytes: 64 * SLICE_BYTES });
});
afterEach(() => door.drain(0));

async function openDoor({ cacheBytes }: { cacheBytes: number }): Promise<void> {
  slices = createVerifiedSlices({ cacheBytes });
  door = createAgentsDoor({ ...fixture.doorOptions, certificate: fixture.tls.agents });
  const methods = { method: ['GET', 'HEAD'] };
  door.app.route<{ Params: { sha256: string } }>({
    ...methods,
    url: '/artifacts/:sha256',
    handler: async (asked, reply) => {
      const artifact = await store.open(asked.params.sha256);
      const sent = { artifact, contentType: 'application/octet-stream', naming: 'by-hash' } as const;
      return sendArtifact(slices, asked, reply, sent);
    },
  });
  door.app.route({
    ...methods,
    url: '/stage0.efi',
    handler: async (asked, reply) => {
      const artifact = await store.open(current);
      return sendArtifact(slices, asked, reply, {
        artifact,
        contentType: 'application/efi',
        naming: 'by-name',
      });
    },
  });
  port = await door.listen();
}

function put(bytes: Uint8Array): Promise<{ stored: boolean }> {
  return store.put({ sha256: nameOf(bytes), length: bytes.length, source: Readable.from([bytes]) });
}

function pathOf(name: string): string {
  return join(folder, name.slice(0, 2), name);
}

async function alter(at: number): Promise<void> {
  const file = await open(pathOf(NAME), 'r+');
  await file.write(Buffer.from([(BYTES[at] ?? 0) ^ 1]), 0, 1, at);
  await file.close();
}

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Buffer;
  /** False when the connection ended before the last byte that was announced. */
  complete: boolean;
}

/** `onData` may be slow: the answer is read no faster. */
function get(
  path: string,
  options: RequestOptions = {},
  onData?: (n: number) => Promise<void>,
): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const target = { host: '127.0.0.1', port, path, ca: fixture.tls.authority.pem, agent: new Agent() };
  const asked = request({ ...target, ...options }, async (response) => {
    const chunks: Buffer[] = [];
    const { statusCode: status = 0, headers } = response;
    const answer = (complete: boolean): Answer => ({
      status,
      headers,
      body: Buffer.concat(chunks),
      complete,
    });
    try {
      for await (const chunk of response) {
        chunks.push(chunk);
        await onData?.(chunks.length);
      }
      resolve(answer(response.complete));
    } catch {
      resolve(answer(false));
    }
  });
  asked.once('error', reject).end();
  return promise;
}

const artifactPath = `/artifacts/${NAME}`;

describe('delivery', () => {
  it('sends the whole artifact with its exact length, type and strong tag', async () => {
    const { status, headers, body } = await get(artifactPath);
    expect(status).toBe(200);
    expect(body.equals(BYTES)).toBe(true);
    expect(headers).toMatchObject({
      'content-length': String(BYTES.length),
      'content-type': 'application/octet-stream',
      'accept-ranges': 'bytes',
      etag: ETAG,
    });
    expect(headers['transfer-encoding']).toBeUndefined();
  });

  it('answers HEAD with the headers of GET and no body', async () => {
    const head = await get(artifactPath, { method: 'HEAD' });
    const whole = await get(artifactPath);
    const { date: _head, ...headHeaders } = head.headers;
    const { date: _whole, ...wholeHeaders } = whole.headers;
    expect(headHeaders).toEqual(wholeHeaders);
    expect(head.body.length).toBe(0);
  });

  it('tells firmware the exact type it knows, without a charset', async () => {
    expect((await get('/stage0.efi')).headers['content-type']).toBe('application/efi');
  });

  it('sends no content coding, whatever the client takes', async () => {
    const { headers, body } = await get(artifactPath, { headers: { 'accept-encoding': 'gzip, br' } });
    expect(headers['content-encoding']).toBeUndefined();
    expect(body.equals(BYTES)).toBe(true);
  });

  it.each([
    [0, 0],
    [SLICE_BYTES - 1, SLICE_BYTES],
    [SLICE_BYTES, 2 * SLICE_BYTES - 1],
    [5, BYTES.length - 1],
  ])('D4 sends bytes %i to %i as 206', async (first, last) => {
    const { status, headers, body } = await get(artifactPath, {
      headers: { range: `bytes=${first}-${last}` },
    });
    expect(status).toBe(206);
    expect(headers['content-range']).toBe(`bytes ${first}-${last}/${BYTES.length}`);
    expect(headers['content-length']).toBe(String(last - first + 1));
    expect(body.equals(BYTES.subarray(first, last + 1))).toBe(true);
  });

  it('D4 answers a range past the end with 416 and the length', async () => {
    const { status, headers, body } = await get(artifactPath, {
      headers: { range: `bytes=${BYTES.length}-` },
    });
    expect(status).toBe(416);
    expect(headers['content-range']).toBe(`bytes */${BYTES.length}`);
    expect(JSON.parse(body.toString())).toMatchObject({ code: 'range-not-satisfiable' });
  });

  it('D4 answers a thousand ranges with the artifact once', async () => {
    const range = `bytes=${Array.from({ length: 1000 }, () => '0-').join(',')}`;
    const { status, body } = await get(artifactPath, { headers: { range } });
    expect(status).toBe(200);
    expect(body.length).toBe(BYTES.length);
  });

  it('resumes with If-Match, and refuses to when the artifact is another', async () => {
    const resumed = await get(artifactPath, { headers: { 'if-match': ETAG, range: 'bytes=100-' } });
    expect(resumed.body.equals(BYTES.subarray(100))).toBe(true);
    const other = await get(artifactPath, { headers: { 'if-match': '"0"', range: 'bytes=100-' } });
    expect(other.status).toBe(412);
    expect(JSON.parse(other.body.toString())).toMatchObject({ code: 'precondition-failed' });
  });

  it('sends an artifact of no bytes', async () => {
    await put(new Uint8Array(0));
    const { status, headers } = await get(`/artifacts/${nameOf(new Uint8Array(0))}`);
    expect([status, headers['content-length']]).toEqual([200, '0']);
  });

  it('serves from memory what it verified, to twenty clients at once', async () => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => get(artifactPath)));
    expect(answers.every(({ body }) => body.equals(BYTES))).toBe(true);
    expect(slices.cachedBytes).toBe(BYTES.length);
  });
});

describe('D7 a file altered on disk', () => {
  it('D7 refuses a file that was altered before it was ever served', async () => {
    await alter(2 * SLICE_BYTES + 5);
    const { status, body } = await get(artifactPath);
    expect(status).toBe(500);
    expect(JSON.parse(body.toString())).toMatchObject({ code: 'artifact-damaged' });
    expect(slices.damaged).toBe(1);
  });

  it('D7 refuses a file that was truncated to nothing', async () => {
    await truncate(pathOf(NAME), 0);
    expect((await get(artifactPath)).status).toBe(500);
  });

  it.each(['altered', 'truncated'])('D7 breaks off when the file is %s while it is sent', async (how) => {
    await door.drain(0);
    await openDoor({ cacheBytes: SLICE_BYTES });
    await get(artifactPath);
    fixture.lines.length = 0;
    let done = false;
    const answer = await get(artifactPath, {}, async () => {
      if (done) return;
      done = true;
      if (how === 'altered') await alter(BYTES.length - 1);
      else await truncate(pathOf(NAME), 24 * SLICE_BYTES);
      await delay(50);
    });
    expect(answer.complete).toBe(false);
    expect(answer.body.equals(BYTES.subarray(0, answer.body.length))).toBe(true);
    expect(answer.body.length).toBeLessThanOrEqual(24 * SLICE_BYTES);
    expect(slices.damaged).toBe(1);
    expect(fixture.lines.filter(({ code }) => code === 'artifact-damaged')).toHaveLength(1);
  });

  it('D7 swapping the file under a download changes nothing that is sent', async () => {
    await door.drain(0);
    await openDoor({ cacheBytes: SLICE_BYTES });
    const other = join(folder, 'other');
    await writeFile(other, randomBytes(BYTES.length));
    let swapped = false;
    const answer = await get(artifactPath, {}, async () => {
      if (swapped) return;
      swapped = true;
      await rename(other, pathOf(NAME));
    });
    expect(answer.complete).toBe(true);
    expect(answer.body.equals(BYTES)).toBe(true);
    expect((await get(artifactPath)).status).toBe(500);
  });

  it('D7 serves it again once the right file is back', async () => {
    await alter(0);
    expect((await get(artifactPath)).status).toBe(500);
    await put(BYTES);
    expect((await get(artifactPath)).body.equals(BYTES)).toBe(true);
  });
});

describe('D22 caches', () => {
  it('D22 an address that names no hash is asked again each time', async () => {
    const next = randomBytes(1000);
    await put(next);
    const before = await get('/stage0.efi');
    expect(before.headers['cache-control']).toBe('no-cache');
    current = nameOf(next);
    const after = await get('/stage0.efi', { headers: { 'if-none-match': String(before.headers.etag) } });
    expect([after.status, after.body.length]).toEqual([200, 1000]);
    const again = await get('/stage0.efi', { headers: { 'if-none-match': String(after.headers.etag) } });
    expect([again.status, again.body.length]).toEqual([304, 0]);
  });

  it('D22 an address that names a hash is immutable and for one client alone', async () => {
    expect((await get(artifactPath)).headers['cache-control']).toBe('private, max-age=31536000, immutable');
  });

  it('D22 a resumed download never mixes two releases', async () => {
    const before = await get('/stage0.efi', { headers: { range: 'bytes=0-99' } });
    const next = randomBytes(1000);
    await put(next);
    current = nameOf(next);
    const headers = { range: 'bytes=100-', 'if-range': String(before.headers.etag) };
    const resumed = await get('/stage0.efi', { headers });
    expect(resumed.status).toBe(200);
    expect(resumed.body.equals(next)).toBe(true);
  });
});
