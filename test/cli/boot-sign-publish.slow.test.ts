import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { sha256, toHex } from '../../src/core/bytes.ts';
import { verifyRepository } from '../../src/signing/tuf/verify-repository.ts';
import { NOW_MS, SigningDesk } from './boot-sign-fixture.ts';

/** The operators' door as docs/protocol.md has it, remembering what it was sent. */
class FakeDoor {
  readonly artifacts = new Map<string, Buffer>();
  readonly calls: string[] = [];
  metadata: Record<string, string> | undefined;
  refusal: { path: RegExp; status: number; body: string } | undefined;
  private readonly server: Server;

  constructor(path: string) {
    this.server = createServer((request, response) => void this.answer(request, response)).listen(path);
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.server.close(() => resolve());
      this.server.closeAllConnections();
    });
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '' } = request;
    this.calls.push(`${method} ${url}`);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks);
    if (this.refusal?.path.test(`${method} ${url}`))
      return void response.writeHead(this.refusal.status).end(this.refusal.body);
    const sha = url.replace('/admin/v1/artifacts/', '');
    if (method === 'HEAD') return void response.writeHead(this.artifacts.has(sha) ? 200 : 404).end();
    if (method === 'PUT') {
      expect(request.headers).toMatchObject({
        'content-type': 'application/octet-stream',
        'content-length': String(body.length),
      });
      this.artifacts.set(sha, body);
      return void response.writeHead(201).end('{}');
    }
    this.metadata = JSON.parse(body.toString()).files;
    response.writeHead(200).end(JSON.stringify({ versions: { root: 1 }, grantKeyNamed: true }));
  }
}

let desk: SigningDesk;
let door: FakeDoor;

beforeAll(async () => {
  desk = new SigningDesk();
  await desk.init();
  await desk.release(1);
  door = new FakeDoor(desk.path('door.sock'));
});
afterEach(() => {
  door.refusal = undefined;
  door.calls.length = 0;
});
afterAll(async () => {
  await door.close();
  desk.close();
});

const publish = (...args: string[]) =>
  desk.run('publish', desk.repository, '--socket', desk.path('door.sock'), ...args);

describe('publish', () => {
  it('sends every artifact that is missing, then the metadata, which verify', async () => {
    const run = await publish('-o', 'json');
    expect(run).toMatchObject({ status: 0, stderr: '' });
    expect(JSON.parse(run.stdout)).toMatchObject({ artifacts: 3, uploaded: [...door.artifacts.keys()] });
    for (const [sha, bytes] of door.artifacts) expect(toHex(sha256(bytes))).toBe(sha);
    expect(door.calls.at(-1)).toBe('POST /admin/v1/metadata');
    const files = new Map(
      Object.entries(door.metadata ?? {}).map(([name, text]) => [name, Buffer.from(text)]),
    );
    const trustedRoot = files.get('1.root.json') ?? Buffer.alloc(0);
    expect(verifyRepository({ trustedRoot, files, nowMs: NOW_MS }).channels.get('demo')).toHaveLength(1);
  });

  it('sends nothing twice', async () => {
    const run = await publish('-o', 'json');
    expect(JSON.parse(run.stdout).uploaded).toEqual([]);
    expect(door.calls.filter((call) => call.startsWith('PUT'))).toEqual([]);
  });

  it('prints code and detail of a refusal', async () => {
    const body = JSON.stringify({
      status: 422,
      code: 'metadata-refused',
      detail: 'timestamp expired\u001b[31m',
    });
    door.refusal = { path: /^POST/, status: 422, body };
    const run = await publish();
    expect(run.status).toBe(76);
    expect(run.stderr).toContain('metadata-refused: timestamp expired?[31m');
  });

  it('says the status when a refusal is no problem document', async () => {
    door.refusal = { path: /^POST/, status: 502, body: '<html>' };
    expect(await publish()).toMatchObject({ status: 76, stderr: expect.stringContaining('HTTP status 502') });
  });

  it('sends no metadata when an artifact is refused', async () => {
    const [first = ''] = door.artifacts.keys();
    door.artifacts.delete(first);
    door.refusal = { path: /^PUT/, status: 507, body: JSON.stringify({ code: 'storage-full' }) };
    expect(await publish()).toMatchObject({ status: 76, stderr: expect.stringContaining('storage-full') });
    expect(door.calls.some((call) => call.startsWith('POST'))).toBe(false);
  });

  it('sends nothing that a client would refuse', async () => {
    desk.nowMs = NOW_MS + 40 * 86_400_000;
    const run = await publish();
    desk.nowMs = NOW_MS;
    expect(run).toMatchObject({ status: 65 });
    expect(door.calls).toEqual([]);
  });

  it('says that no server answers', async () => {
    const run = await desk.run('publish', desk.repository, '--socket', desk.path('nobody.sock'));
    expect(run).toMatchObject({ status: 69, stderr: expect.stringContaining('nobody.sock') });
  });
});
