import { readdir } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { isProblemCode } from '../../../src/boot-server/problems.ts';
import { sha256, toBase64, toHex } from '../../../src/core/bytes.ts';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import type { Answer, HttpsCall, HttpsClient } from '../../../src/fleet-sim/wire/https-client.ts';
import { type BadBody, brokenDocuments, looseBase64, wrongTypes } from './bad-json.ts';
import { PublishedServer } from './published-server.ts';
import { recordRoutes } from './recorded-routes.ts';

let world: PublishedServer;
let routes: ReadonlySet<string>;
let node: VirtualNode;
let firmware: HttpsClient;

beforeAll(async () => {
  const recorded = await recordRoutes(() => PublishedServer.publish());
  world = recorded.result;
  routes = recorded.routes;
  node = await world.enrolledNode();
  firmware = await world.firmware();
});

afterAll(() => world.close());

type Send = (path: string, call: HttpsCall) => Promise<Answer>;

const doors: Record<string, Send> = {
  firmware: (path, call) => firmware.call(path, call),
  agents: (path, call) => node.client.call(path, call),
  operators: (path, call) => world.operators(path, call),
};

let rows: Record<string, number>;
let linesBefore: number;
let sent: number;

beforeEach(() => {
  rows = world.rowCounts();
  linesBefore = world.logLines.length;
  sent = 0;
});

/** Refused with a problem of the closed list, of our making and not of our failing. */
function expectProblem(answer: Answer, name: string): void {
  sent += 1;
  expect(answer.status, name).toBeGreaterThanOrEqual(400);
  expect(answer.status, name).toBeLessThan(500);
  expect(answer.headers['content-type'], name).toBe('application/problem+json');
  expect(isProblemCode(answer.json.code), `${name}: ${answer.json.code}`).toBe(true);
  expect(answer.json.status, name).toBe(answer.status);
}

function expectNothingStoredAndLoggedOnce(): void {
  expect(world.rowCounts()).toEqual(rows);
  expect(world.logLines.length - linesBefore, 'one line for each refusal').toBe(sent);
}

/** Calls with a JSON body: a valid one to spoil, and its fields in base64. */
const JSON_CALLS: Record<string, { path: () => string; body: () => Promise<object>; base64?: string[][] }> = {
  'agents POST /v1/challenges': {
    path: () => '/v1/challenges',
    body: async () => ({ akName: node.akName, purpose: 'boot' }),
  },
  'agents POST /v1/evidence': {
    path: () => '/v1/evidence',
    body: async () => node.evidence(await node.challenge(), 'boot'),
    base64: [['claims'], ['attest'], ['signature'], ['eventLog']],
  },
  'agents POST /v1/enrolments': {
    path: () => '/v1/enrolments',
    body: async () => node.enrolmentBody({ token: '2222-3333' }),
    base64: [['akPublic'], ['eks', '0', 'public'], ['eks', '0', 'certificate']],
  },
  'agents POST /v1/enrolments/:id/activation': {
    path: () => `/v1/enrolments/${'0'.repeat(32)}/activation`,
    body: async () => ({
      secrets: [{ ekFingerprint: node.fingerprint, secret: toBase64(Buffer.alloc(32)) }],
      evidence: await node.evidence(await node.challenge(), 'enrol'),
    }),
    base64: [
      ['secrets', '0', 'secret'],
      ['evidence', 'claims'],
      ['evidence', 'attest'],
    ],
  },
  'operators POST /admin/v1/eks': {
    path: () => '/admin/v1/eks',
    body: async () => ({ channel: 'demo', entries: [{ fingerprint: 'ab'.repeat(32), comment: '' }] }),
  },
  'operators POST /admin/v1/nodes/:id/approve': {
    path: () => `/admin/v1/nodes/${node.id}/approve`,
    body: async () => ({ reason: '', channel: 'demo' }),
  },
  'operators POST /admin/v1/nodes/:id/reject': {
    path: () => `/admin/v1/nodes/${node.id}/reject`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/revoke': {
    path: () => `/admin/v1/nodes/${node.id}/revoke`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/lift-hold': {
    path: () => `/admin/v1/nodes/${node.id}/lift-hold`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/readmit': {
    path: () => `/admin/v1/nodes/${node.id}/readmit`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/rotate-ak': {
    path: () => `/admin/v1/nodes/${node.id}/rotate-ak`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/allow-new-ak': {
    path: () => `/admin/v1/nodes/${node.id}/allow-new-ak`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/assert-rom': {
    path: () => `/admin/v1/nodes/${node.id}/assert-rom`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/withdraw-rom': {
    path: () => `/admin/v1/nodes/${node.id}/withdraw-rom`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/forget-baseline': {
    path: () => `/admin/v1/nodes/${node.id}/forget-baseline`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/move': {
    path: () => `/admin/v1/nodes/${node.id}/move`,
    body: async () => ({ channel: 'pi-stable', reason: 'a test' }),
  },
  'operators POST /admin/v1/nodes/:id/reset-floor': {
    path: () => `/admin/v1/nodes/${node.id}/reset-floor`,
    body: async () => ({ reason: 'a test' }),
  },
  'operators POST /admin/v1/channels/:channel/stage': {
    path: () => '/admin/v1/channels/demo/stage',
    body: async () => ({ version: 1, reason: '' }),
  },
  'operators POST /admin/v1/channels/:channel/promote': {
    path: () => '/admin/v1/channels/demo/promote',
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/channels/:channel/rollback': {
    path: () => '/admin/v1/channels/demo/rollback',
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/channels/:channel/follow': {
    path: () => '/admin/v1/channels/demo/follow',
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/channels/:channel/health': {
    path: () => '/admin/v1/channels/demo/health',
    body: async () => ({ maxTries: 3, healthWindowSeconds: 60, reason: '' }),
  },
  'operators POST /admin/v1/channels/:channel/rollout': {
    path: () => '/admin/v1/channels/demo/rollout',
    body: async () => ({
      version: 1,
      plan: { steps: ['100%'], soakSeconds: 1, failureBudget: 1, concurrency: 1, quorumPercent: 1 },
      reason: '',
    }),
  },
  'operators POST /admin/v1/channels/:channel/rollout/pause': {
    path: () => '/admin/v1/channels/demo/rollout/pause',
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/channels/:channel/rollout/abort': {
    path: () => '/admin/v1/channels/demo/rollout/abort',
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/channels/:channel/rollout/resume': {
    path: () => '/admin/v1/channels/demo/rollout/resume',
    body: async () => ({ failureBudget: 2, reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/pin': {
    path: () => `/admin/v1/nodes/${node.id}/pin`,
    body: async () => ({ version: 1, reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/unpin': {
    path: () => `/admin/v1/nodes/${node.id}/unpin`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/retry': {
    path: () => `/admin/v1/nodes/${node.id}/retry`,
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/nodes/:id/group': {
    path: () => `/admin/v1/nodes/${node.id}/group`,
    body: async () => ({ group: 'canary', reason: '' }),
  },
  'operators POST /admin/v1/artifacts/remove-unused': {
    path: () => '/admin/v1/artifacts/remove-unused',
    body: async () => ({ dryRun: true }),
  },
  'operators POST /admin/v1/policies': {
    path: () => '/admin/v1/policies',
    body: async () => ({ document: 'a document' }),
  },
  'operators POST /admin/v1/policies/test': {
    path: () => '/admin/v1/policies/test',
    body: async () => ({ document: 'a document', nodeIds: [node.id] }),
  },
  'operators POST /admin/v1/policies/:name/withdraw': {
    path: () => '/admin/v1/policies/edge/withdraw',
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/firmware/approvals': {
    path: () => '/admin/v1/firmware/approvals',
    body: async () => ({ verdictId: 1, scope: 'node', name: 'firmware 2', reason: '' }),
  },
  'operators POST /admin/v1/firmware/approvals/:id/withdraw': {
    path: () => '/admin/v1/firmware/approvals/1/withdraw',
    body: async () => ({ reason: '' }),
  },
  'operators POST /admin/v1/tokens': {
    path: () => '/admin/v1/tokens',
    body: async () => ({ channel: 'demo', validSeconds: 3600, comment: '' }),
  },
  'operators POST /admin/v1/trust-anchors': {
    path: () => '/admin/v1/trust-anchors',
    body: async () => ({
      bundle: toBase64(world.manufacturer.certificate),
      acceptUnknown: false,
      acceptDifferent: ['ab'.repeat(32)],
      reason: '',
    }),
    base64: [['bundle']],
  },
  'operators POST /admin/v1/metadata': {
    path: () => '/admin/v1/metadata',
    body: async () => ({ files: { 'timestamp.json': '{}' } }),
  },
};

/** Calls whose address holds a name: here with a valid one. */
const NAMED_CALLS: Record<string, string> = {
  'firmware GET /boot/:architecture/stage0.efi': 'x86-64',
  'firmware HEAD /boot/:architecture/stage0.efi': 'x86-64',
  'agents GET /v1/tuf/:file': 'timestamp.json',
  'agents GET /v1/enrolments/:id': '0'.repeat(32),
  'agents POST /v1/enrolments/:id/activation': '0'.repeat(32),
  'agents GET /v1/artifacts/:sha256': 'ab'.repeat(32),
  'agents HEAD /v1/artifacts/:sha256': 'ab'.repeat(32),
  'operators GET /admin/v1/nodes/:id': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/approve': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/reject': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/revoke': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/lift-hold': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/readmit': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/rotate-ak': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/allow-new-ak': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/assert-rom': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/withdraw-rom': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/forget-baseline': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/move': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/reset-floor': `n-${'0'.repeat(20)}`,
  'operators GET /admin/v1/channels/:channel': 'demo',
  'operators GET /admin/v1/channels/:channel/rollout': 'demo',
  'operators POST /admin/v1/channels/:channel/stage': 'demo',
  'operators POST /admin/v1/channels/:channel/promote': 'demo',
  'operators POST /admin/v1/channels/:channel/rollback': 'demo',
  'operators POST /admin/v1/channels/:channel/follow': 'demo',
  'operators POST /admin/v1/channels/:channel/health': 'demo',
  'operators POST /admin/v1/channels/:channel/rollout': 'demo',
  'operators POST /admin/v1/channels/:channel/rollout/pause': 'demo',
  'operators POST /admin/v1/channels/:channel/rollout/abort': 'demo',
  'operators POST /admin/v1/channels/:channel/rollout/resume': 'demo',
  'operators POST /admin/v1/nodes/:id/pin': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/unpin': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/retry': `n-${'0'.repeat(20)}`,
  'operators POST /admin/v1/nodes/:id/group': `n-${'0'.repeat(20)}`,
  'operators GET /admin/v1/nodes/:id/releases': `n-${'0'.repeat(20)}`,
  'operators GET /admin/v1/policies/:name': 'edge',
  'operators POST /admin/v1/policies/:name/withdraw': 'edge',
  'operators POST /admin/v1/firmware/approvals/:id/withdraw': '1',
  'operators DELETE /admin/v1/tokens/:id': '0'.repeat(16),
  'operators GET /admin/v1/verdicts/:id': '1',
  'operators GET /admin/v1/verdicts/:id/evidence': '1',
  'operators DELETE /admin/v1/trust-anchors/:sha256': 'ab'.repeat(32),
  'operators HEAD /admin/v1/artifacts/:sha256': 'ab'.repeat(32),
  'operators PUT /admin/v1/artifacts/:sha256': 'ab'.repeat(32),
};

/** Calls that take nothing but their address and headers. */
const PLAIN_CALLS = [
  'agents GET /healthz',
  'agents GET /readyz',
  'agents DELETE /v1/grant',
  'operators GET /healthz',
  'operators GET /readyz',
  'operators GET /metrics',
  'operators GET /admin/v1/channels',
  'operators GET /admin/v1/nodes',
  'operators GET /admin/v1/eks',
  'operators GET /admin/v1/tokens',
  'operators GET /admin/v1/verdicts',
  'operators GET /admin/v1/policies',
  'operators GET /admin/v1/firmware/approvals',
  'operators GET /admin/v1/events',
  'operators GET /admin/v1/trust-anchors',
  'operators GET /admin/v1/grant-keys',
];

test('every route of every door is known to these tests', () => {
  const known = [...Object.keys(JSON_CALLS), ...Object.keys(NAMED_CALLS), ...PLAIN_CALLS];
  expect([...routes].sort()).toEqual([...new Set(known)].sort());
});

describe.each(Object.entries(JSON_CALLS))('%s', (route, call) => {
  const send = (body: unknown, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
    (doors[route.split(' ', 1)[0] ?? ''] as Send)(call.path(), { method: 'POST', headers, body });

  async function refuseAll(bad: readonly BadBody[]): Promise<void> {
    for (const { name, body } of bad) {
      const answer = await send(body);
      expectProblem(answer, name);
      expect(answer.status, `${name}: ${answer.json.detail}`).toBe(400);
    }
    expectNothingStoredAndLoggedOnce();
  }

  async function fresh(): Promise<object> {
    const body = await call.body();
    rows = world.rowCounts();
    linesBefore = world.logLines.length;
    return body;
  }

  test('refuses what is no document, and fields that it does not know', async () => {
    await refuseAll(brokenDocuments(await fresh()));
  });

  test('refuses every field of another type', async () => {
    await refuseAll(wrongTypes(await fresh()));
  });

  const { base64 } = call;
  if (base64 !== undefined)
    test('refuses base64 in any but its one spelling', async () => {
      const body = await fresh();
      await refuseAll(base64.flatMap((field) => looseBase64(body, field)));
    });

  test('D19 refuses other content types, also those that only look like JSON', async () => {
    const text = JSON.stringify(await fresh());
    for (const type of [
      'text/plain',
      'application/octet-stream',
      'application/jsonx',
      'application/json, text/plain',
      'application/x-www-form-urlencoded',
      '',
    ]) {
      const answer = await send(text, type === '' ? {} : { 'content-type': type });
      expectProblem(answer, type);
      expect(answer.status, type).toBe(415);
    }
    expectNothingStoredAndLoggedOnce();
  });

  test('D21 does not unpack a body', async () => {
    const packed = gzipSync(JSON.stringify(await fresh()));
    const answer = await send(packed, { 'content-type': 'application/json', 'content-encoding': 'gzip' });
    expectProblem(answer, 'gzip');
    expect(answer.status).toBe(400);
    expectNothingStoredAndLoggedOnce();
  });

  test('says in few words what is wrong, however long it is', async () => {
    const long = 'k'.repeat(400);
    const valid = JSON.stringify(await fresh()).slice(1);
    for (const wrong of [`"${long}":1,`, `"${long}":1,"${long}":1,`, `"n":${'9'.repeat(400)},`]) {
      const answer = await send(`{${wrong}${valid}`);
      expectProblem(answer, wrong);
      expect(answer.bytes.length + (world.logLines.at(-1) ?? '').length, wrong).toBeLessThan(1200);
    }
    expectNothingStoredAndLoggedOnce();
  });

  test('refuses a body that is too large', async () => {
    const text = JSON.stringify(await fresh());
    const limit = /\/(?:metadata|trust-anchors)$/.test(route) ? 16 * 1024 * 1024 : 1024 * 1024;
    const answer = await send(`${text}${' '.repeat(limit)}`);
    expectProblem(answer, 'too large');
    expect([answer.status, answer.json.code]).toEqual([413, 'body-too-large']);
    expectNothingStoredAndLoggedOnce();
  });
});

describe.each(Object.entries(NAMED_CALLS))('%s', (route, valid) => {
  const [door = '', method = '', pattern = ''] = route.split(' ');
  const send = (name: string) =>
    (doors[door] as Send)(pattern.replace(/:[a-z0-9]+/, name), {
      method,
      ...(method === 'POST' && { body: {} }),
      ...(method === 'PUT' && {
        body: Buffer.from('x'),
        headers: { 'content-type': 'application/octet-stream' },
      }),
    });
  const altered = [
    `${valid}x`,
    `x${valid}`,
    `${valid}%00`,
    `${valid}%0a`,
    `%2e%2e%2f${valid}`,
    `..%5c${valid}`,
    valid.toUpperCase().replace(/^[^A-Z]*$/, `A${valid}`),
    valid.slice(0, -1) || '-1',
    'constructor',
    '%ff',
    '%',
    "'%20or%201=1--",
    '0'.repeat(300),
  ];

  test('D5 takes no other name', async () => {
    for (const name of altered) {
      const answer = await send(name);
      if (method === 'HEAD') {
        sent += 1;
        expect([400, 401, 404], name).toContain(answer.status);
      } else expectProblem(answer, name);
    }
    expectNothingStoredAndLoggedOnce();
  });
});

describe('operators PUT /admin/v1/artifacts/:sha256', () => {
  const bytes = Buffer.from('an artifact that never comes whole');
  const hash = toHex(sha256(bytes));
  const path = `/admin/v1/artifacts/${hash}`;
  const octets = { 'content-type': 'application/octet-stream' };
  const put = (body: unknown, headers: Record<string, string> = octets) =>
    world.operators(path, { method: 'PUT', headers, body });

  test('D9 refuses other bytes than its name says, and stores nothing of them', async () => {
    for (const [body, code] of [
      [Buffer.concat([bytes, bytes]), 'artifact-hash-mismatch'],
      [bytes.subarray(1), 'artifact-hash-mismatch'],
      [Buffer.alloc(0), 'artifact-hash-mismatch'],
    ] as const) {
      const answer = await put(body);
      expectProblem(answer, code);
      expect(answer.json.code).toBe(code);
    }
    await expectNoFile();
    expectNothingStoredAndLoggedOnce();
  });

  test('D9 refuses an upload without its length, or of another type', async () => {
    for (const [headers, status] of [
      [{ ...octets, 'transfer-encoding': 'chunked' }, 400],
      [{ 'content-type': 'application/json' }, 415],
      [{ 'content-type': 'text/html' }, 415],
      [{}, 415],
    ] as const) {
      const answer = await rawPut(headers, '{}');
      expect(answer, JSON.stringify(headers)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    }
    await expectNoFile();
  });

  test('refuses an upload that announces too much before it is sent', async () => {
    const answer = await rawSend([
      `PUT ${path} HTTP/1.1`,
      'host: x',
      'content-type: application/octet-stream',
      'content-length: 99999999999999',
    ]);
    expect(answer).toMatch(/^HTTP\/1.1 413 .*body-too-large/s);
  });

  test('D9 an upload that breaks off leaves nothing', async () => {
    const socket = createConnection(world.config.operators.socket);
    const head = [`PUT ${path} HTTP/1.1`, 'host: x', 'content-type: application/octet-stream'];
    socket.write([...head, `content-length: ${bytes.length}`, '', ''].join('\r\n'));
    socket.write(bytes.subarray(0, 10));
    await new Promise((resolve) => setTimeout(resolve, 50));
    socket.destroy();
    await expect.poll(() => temporaryFiles()).toEqual([]);
    await expectNoFile();
    expect((await put(bytes)).status, 'its twin').toBe(201);
    expect((await put(bytes)).status).toBe(200);
  });

  async function expectNoFile(): Promise<void> {
    expect((await world.operators(path, { method: 'HEAD' })).status).toBe(404);
    linesBefore += 1;
    expect(await temporaryFiles()).toEqual([]);
  }

  async function temporaryFiles(): Promise<string[]> {
    const names = await readdir(join(world.config.dataDir, 'artifacts'), { recursive: true });
    return names.filter((name) => name.endsWith('.tmp'));
  }

  function rawPut(headers: Record<string, string>, content: string): Promise<string> {
    const chunked = 'transfer-encoding' in headers;
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    const length = chunked ? [] : [`content-length: ${content.length}`];
    const body = chunked ? `${content.length.toString(16)}\r\n${content}\r\n0\r\n\r\n` : content;
    return rawSend([`PUT ${path} HTTP/1.1`, 'host: x', ...lines, ...length], body);
  }

  function rawSend(head: readonly string[], body = ''): Promise<string> {
    const socket = createConnection(world.config.operators.socket);
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.once('data', (data) => {
        resolve(data.toString());
        socket.destroy();
      });
      socket.write(`${[...head, '', ''].join('\r\n')}${body}`);
    });
  }
});

test.each([
  ['/v1/challenges', 4096],
  ['/v1/enrolments', 128 * 1024],
])('%s, which anybody may call, takes no body above its own limit', async (path, limit) => {
  const answer = await node.client.call(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(' '.repeat(limit + 1)),
  });
  expect([answer.status, answer.json.code]).toEqual([413, 'body-too-large']);
});
