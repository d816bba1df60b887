import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { VirtualNode } from '../../../src/fleet-sim/virtual-node.ts';
import { PublishedServer } from './published-server.ts';

let world: PublishedServer;
let node: VirtualNode;

beforeAll(async () => {
  world = await PublishedServer.publish();
  node = await world.enrolledNode();
});

afterAll(() => world.close());

const PROGRAM = join(import.meta.dirname, '../../../bin/boot-admin.mjs');
const ANSI_AND_NEWLINE = '\u001b[2J\u001b[31mowned\r\nn-0000 enrolled\u009b1m\u202e';
const WITHOUT_CONTROL = /^[\x20-\x7e\n]*$/;

async function bootAdmin(...args: string[]): Promise<string> {
  const socket = world.config.operators.socket;
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [
    PROGRAM,
    '--socket',
    socket,
    ...args,
  ]);
  return stdout + stderr;
}

describe('boot-admin', () => {
  test('shows the three facts of a node side by side', async () => {
    const table = await bootAdmin('nodes', 'list');
    expect(table).toMatch(new RegExp(`${node.id} +enrolled +certified +listed +measured +demo`));
  });

  test('A10 what a node says of itself cannot drive the terminal', async () => {
    world.database((database) =>
      database
        .prepare('update nodes set untrusted_hints = ? where id = ?')
        .run(JSON.stringify({ product: ANSI_AND_NEWLINE }), node.id),
    );
    const shown = await bootAdmin('nodes', 'show', node.id);
    expect(shown).toContain('owned');
    expect(shown).toMatch(WITHOUT_CONTROL);
    expect(shown).not.toMatch(/^n-0000/m);
  });

  test('A10 nor can the comment of an imported key', async () => {
    const entries = [{ fingerprint: 'cd'.repeat(32), comment: ANSI_AND_NEWLINE }];
    await world.operators('/admin/v1/eks', { method: 'POST', body: { channel: 'demo', entries } });
    const listed = await bootAdmin('ek', 'list');
    expect(listed).toContain('owned');
    expect(listed).toMatch(WITHOUT_CONTROL);
    expect(listed.split('\n').filter((line) => line.startsWith('n-0000'))).toEqual([]);
  });

  test('A10 hints are printable text: anything else is refused at the door', async () => {
    const before = world.rowCounts();
    for (const product of [ANSI_AND_NEWLINE, 'caf\u00e9', 'a\tb', 'x'.repeat(129)]) {
      const answer = await node.begin({ hints: { product } });
      expect([answer.status, answer.json.code]).toEqual([400, 'request-invalid']);
    }
    expect(world.rowCounts()).toEqual(before);
  });

  test('imports fingerprints from a file, and says what was known', async () => {
    const file = join(world.folder, 'eks.txt');
    await writeFile(file, `# fleet 7\n${'ef'.repeat(32)} rack 1\n${node.fingerprint}\n`);
    expect(await bootAdmin('ek', 'import', file, '--channel', 'demo')).toBe(
      '1 imported for demo, 1 were known already\n',
    );
  });
});

test('a token is made, listed, withdrawn, and printed once', async () => {
  const token = (await bootAdmin('tokens', 'create', '--channel', 'edge', '--comment', 'rack 7')).trim();
  expect(token).toMatch(/^(?:[2-9a-z]{4}-){6}[2-9a-z]{4}$/);
  const list = await bootAdmin('tokens', 'list');
  expect(list).toMatch(/^[0-9a-f]{16} +unused +edge +.* rack 7$/m);
  expect(list).not.toContain(token);
  const id = /^[0-9a-f]{16}/m.exec(list)?.[0] ?? '';
  expect(await bootAdmin('tokens', 'withdraw', id)).toBe(`${id} is withdrawn\n`);
  expect(await bootAdmin('tokens', 'list')).not.toContain(id);
});

test('a node is shown with the groups of its EK, which begin like its id', async () => {
  const shown = await bootAdmin('nodes', 'show', node.id);
  const groups = /^EK, TO COMPARE +((?:[0-9a-f]{4} ?){8})$/m.exec(shown)?.[1] ?? '';
  expect(groups.replaceAll(' ', '').startsWith(node.id.slice(2))).toBe(true);
  expect(shown).toMatch(/^AK GENERATION +1$/m);
});

describe('what operators read', () => {
  test('the evidence of a verdict is fetched whole; a refusal without evidence has none', async () => {
    const { verdicts } = (await world.operators('/admin/v1/verdicts')).json;
    expect(verdicts[0]).toMatchObject({ nodeId: node.id, verdict: 'accept', hasEvidence: true });
    const evidence = await world.operators(`/admin/v1/verdicts/${verdicts[0].id}/evidence`);
    expect(evidence.json.format).toBe('bootward-evidence-v1');
    expect((await world.operators('/admin/v1/verdicts/999999/evidence')).json.code).toBe('not-found');
  });

  test('one verdict is fetched alone, and shown with what it means and its event log', async () => {
    const { verdicts } = (await world.operators('/admin/v1/verdicts')).json;
    const { id } = verdicts[0];
    expect((await world.operators(`/admin/v1/verdicts/${id}`)).json).toEqual(verdicts[0]);
    expect((await world.operators('/admin/v1/verdicts/999999')).json.code).toBe('not-found');
    expect(await bootAdmin('verdicts', 'show', String(id))).toMatch(/^DECISION +accept$/m);
    expect(await bootAdmin('verdicts', 'log', String(id), '--pcr', '4')).toMatch(
      /^4 +agrees +[0-9a-f]{64} /m,
    );
  });

  test('a decision that does not fit the node is a conflict that says so', async () => {
    const answer = await world.decide('approve', node);
    expect([answer.status, answer.json.code]).toEqual([409, 'node-state-conflict']);
    expect(answer.json.detail).toContain('is enrolled');
    const unknown = await world.operators(`/admin/v1/nodes/n-${'0'.repeat(20)}/revoke`, {
      method: 'POST',
      body: {},
    });
    expect([unknown.status, unknown.json.code]).toEqual([404, 'node-unknown']);
  });

  test('A2 the agents door has no operators call, with whatever certificate', async () => {
    for (const path of [
      '/admin/v1/nodes',
      '/admin/v1/nodes/',
      '//admin/v1/nodes',
      '/ADMIN/v1/nodes',
      '/admin%2fv1/nodes',
    ])
      expect((await node.client.call(path)).status, path).toBe(404);
    for (const path of ['/v1/tuf/timestamp.json', '/admin/v1/nodes', '/healthz'])
      expect((await (await world.firmware()).call(path)).status, path).toBe(404);
  });

  test('A3 headers that a proxy would set are ignored', async () => {
    const headers = {
      'x-ssl-client-cert': 'somebody',
      'x-forwarded-for': '10.0.0.1',
      'x-http-method-override': 'DELETE',
    };
    const answer = await node.connect().call(`/v1/enrolments/${'0'.repeat(32)}`, { headers });
    expect(answer.json.code).toBe('client-certificate-missing');
  });
});

describe('readyz', () => {
  test('says when the database does not answer, and healthz still does', async () => {
    const agents = await world.stranger();
    expect((await agents.call('/readyz')).json).toMatchObject({ status: 'ready', warnings: [] });
    world.database((database) => database.exec('alter table enrolments rename to lost'));
    const ready = await agents.call('/readyz');
    const healthy = await agents.call('/healthz');
    world.database((database) => database.exec('alter table lost rename to enrolments'));
    expect([ready.status, ready.json.faults]).toEqual([503, ['the database does not answer']]);
    expect(healthy.status).toBe(200);
    expect((await agents.call('/readyz')).status).toBe(200);
  });

  test('warns a week before the timestamp expires', async () => {
    world.clock.advance(24 * 86_400);
    const { json } = await (await world.stranger()).call('/readyz');
    expect(json.metadata).toMatchObject({ timestampVersion: 3, ageSeconds: expect.any(Number) });
    expect(json.warnings).toEqual([
      expect.stringMatching(/^timestamp expires in [56] days/),
      expect.stringMatching(/^snapshot expires in [56] days/),
      expect.stringMatching(
        /^metadata: the timestamp was signed 24 days ago, and a new one is due every 7 days/,
      ),
    ]);
  });
});
