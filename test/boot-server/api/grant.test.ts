import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256, toHex } from '../../../src/core/bytes.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { createIdentity, spkiOf } from '../../../src/fleet-sim/wire/ephemeral-identity.ts';
import { requestHttp2 } from './http2-client.ts';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

beforeAll(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
});

/** Every test is a boot of its own: a new ephemeral key, and the TPM has counted. */
beforeEach(() => node.powerCycle());

afterAll(() => world.close());

const hashOf = (bytes: Uint8Array) => toHex(sha256(bytes));

describe('a grant', () => {
  test('opens manifest, kernel and initramfs, whole and in parts', async () => {
    const grant = await node.grant();
    for (const bytes of [world.release.manifest, world.release.kernel, world.release.initramfs]) {
      const answer = await node.fetch(hashOf(bytes), grant);
      expect(answer.status).toBe(200);
      expect(answer.headers.etag).toBe(`"${hashOf(bytes)}"`);
      expect(answer.headers['content-length']).toBe(String(bytes.length));
      expect(answer.bytes.equals(bytes)).toBe(true);
    }
    const part = await node.fetch(hashOf(world.release.kernel), grant, { range: 'bytes=100-199' });
    expect([part.status, part.headers['content-range']]).toEqual([
      206,
      `bytes 100-199/${world.release.kernel.length}`,
    ]);
    expect(part.bytes.equals(world.release.kernel.subarray(100, 200))).toBe(true);
  });

  test('D3 is gone after DELETE', async () => {
    const grant = await node.grant();
    const headers = { authorization: `Bearer ${grant}` };
    expect((await node.client.call('/v1/grant', { method: 'DELETE', headers })).status).toBe(204);
    const after = await node.fetch(hashOf(world.release.kernel), grant);
    expect([after.status, after.json.code]).toEqual([403, 'grant-closed']);
    const again = await node.client.call('/v1/grant', { method: 'DELETE', headers });
    expect([again.status, again.json.code]).toEqual([403, 'grant-closed']);
  });

  test('D1 P10 is worth nothing with another client certificate', async () => {
    const grant = await node.grant();
    const headers = { authorization: `Bearer ${grant}` };
    const thief = node.connect(await createIdentity());
    const path = `/v1/artifacts/${hashOf(world.release.kernel)}`;
    const stolen = await thief.call(path, { headers });
    expect([stolen.status, stolen.json.code]).toEqual([403, 'grant-key-mismatch']);
    const closing = await thief.call('/v1/grant', { method: 'DELETE', headers });
    expect(closing.json.code, 'nor can the thief close it').toBe('grant-key-mismatch');
    expect((await node.fetch(hashOf(world.release.kernel), grant)).status, 'its twin').toBe(200);
  });

  test('D1 is worth nothing without a client certificate', async () => {
    const grant = await node.grant();
    const path = `/v1/artifacts/${hashOf(world.release.kernel)}`;
    const answer = await node.connect().call(path, { headers: { authorization: `Bearer ${grant}` } });
    expect([answer.status, answer.json.code]).toEqual([403, 'grant-key-mismatch']);
  });

  test('D1 another certificate over the very same key is another boot', async () => {
    const grant = await node.grant();
    const twin = await createIdentity(node.identity.key);
    expect(Buffer.from(spkiOf(twin))).toEqual(Buffer.from(spkiOf(node.identity)));
    const path = `/v1/artifacts/${hashOf(world.release.kernel)}`;
    const answer = await node.connect(twin).call(path, { headers: { authorization: `Bearer ${grant}` } });
    expect(answer.json.code).toBe('grant-key-mismatch');
  });

  test('is needed: nothing is served without one, or with something else in its place', async () => {
    const hash = hashOf(world.release.kernel);
    const grant = await node.grant();
    const missing = await node.fetch(hash);
    expect([missing.status, missing.json.code]).toEqual([401, 'grant-missing']);
    for (const other of ['x', `${grant}x`, grant.replace(/\.[^.]*$/, '.'), await node.challenge()])
      expect((await node.fetch(hash, other)).json.code).toBe('grant-invalid');
    const scheme = { authorization: `Basic ${grant}` };
    expect((await node.client.call(`/v1/artifacts/${hash}`, { headers: scheme })).json.code).toBe(
      'grant-missing',
    );
  });

  test('A4 no other spelling of the address gets past it', async () => {
    const hash = hashOf(world.release.kernel);
    const override = { 'x-http-method-override': 'GET', 'x-original-url': `/v1/artifacts/${hash}` };
    for (const path of [
      `/v1/artifacts/${hash}/`,
      `/v1//artifacts/${hash}`,
      `//v1/artifacts/${hash}`,
      `/v1/artifacts%2f${hash}`,
      `/V1/artifacts/${hash}`,
      `/v1/artifacts/./${hash}`,
      `/v1/tuf/../artifacts/${hash}`,
      `/v1/artifacts/${hash}?grant=x`,
      `/v1/artifacts/${hash};x`,
      `/boot/x86-64/stage0.efi`,
    ]) {
      const answer = await node.client.call(path, { headers: override });
      expect([400, 401, 404], path).toContain(answer.status);
    }
    expect((await node.client.call('/healthz', { headers: override })).json).toEqual({ status: 'ok' });
  });

  test('S13 alg none and a grant of the same claims with an HMAC are refused', async () => {
    const [, payload] = (await node.grant()).split('.');
    const head = (header: object) => Buffer.from(JSON.stringify(header)).toString('base64url');
    for (const alg of ['none', 'HS256']) {
      const forged = `${head({ alg, typ: 'bootward-grant+jwt' })}.${payload}.${head({ alg })}`;
      expect((await node.fetch(hashOf(world.release.kernel), forged)).json.code, alg).toBe('grant-invalid');
    }
  });

  test('D2 opens no artifact of another release', async () => {
    const other = await world.desk.addRelease(1, { channel: 'pi-stable' });
    expect((await world.publishDesk()).status).toBe(200);
    const grant = await node.grant();
    for (const bytes of [other.manifest, other.kernel, other.initramfs, world.stage0.image]) {
      const answer = await node.fetch(hashOf(bytes), grant);
      expect([answer.status, answer.json.code]).toEqual([403, 'artifact-not-granted']);
    }
    expect((await node.fetch(hashOf(world.release.kernel), grant)).status, 'its twin').toBe(200);
  });

  test('D3 ends with its time', async () => {
    const grant = await node.grant();
    world.clock.advance(599);
    expect((await node.fetch(hashOf(world.release.kernel), grant)).status).toBe(200);
    world.clock.advance(1);
    const answer = await node.fetch(hashOf(world.release.kernel), grant);
    expect([answer.status, answer.json.code]).toEqual([401, 'grant-expired']);
  });

  test('D3 is closed by the next one', async () => {
    const first = await node.grant();
    const second = await node.grant();
    expect((await node.fetch(hashOf(world.release.kernel), first)).json.code).toBe('grant-closed');
    expect((await node.fetch(hashOf(world.release.kernel), second)).status).toBe(200);
  });

  test('D3 is not closed by evidence that was refused', async () => {
    const grant = await node.grant();
    await node.attest({ claims: { stage0Build: 9 } });
    expect((await node.fetch(hashOf(world.release.kernel), grant)).status).toBe(200);
  });

  test('D3 is closed when its node is revoked, and the node gets no other', async () => {
    const revoked = await world.enrolledNode();
    const grant = await revoked.grant();
    const evidence = await revoked.evidence(await revoked.challenge(), 'boot');
    expect((await world.decide('revoke', revoked)).json.status).toBe('revoked');
    const answer = await revoked.fetch(hashOf(world.release.kernel), grant);
    expect([answer.status, answer.json.code]).toEqual([403, 'grant-closed']);
    expect((await revoked.submit(evidence)).json.code).toBe('node-revoked');
    expect((await revoked.askChallenge()).json.code).toBe('node-revoked');
  });
});

describe('over HTTP/2', () => {
  test('D1 P10 the same rules hold: the grant is bound to the certificate of the session', async () => {
    const hash = hashOf(world.release.kernel);
    const grant = await node.grant();
    const headers = { ':path': `/v1/artifacts/${hash}`, authorization: `Bearer ${grant}` };
    const own = await requestHttp2(node, headers, node.identity);
    expect(own.status).toBe(200);
    expect(own.bytes.equals(world.release.kernel)).toBe(true);
    for (const identity of [await createIdentity(), undefined])
      expect((await requestHttp2(node, headers, identity)).status).toBe(403);
  });
});

test('no grant and no challenge is ever logged', () => {
  expect(world.logLines.length).toBeGreaterThan(50);
  expect(world.logLines.filter((line) => line.includes('eyJ'))).toEqual([]);
});
