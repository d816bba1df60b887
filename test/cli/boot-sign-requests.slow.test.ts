import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { canonicalize } from '@tufjs/canonical-json';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { asciiBytes, sha256, toHex } from '../../src/core/bytes.ts';
import { layoutOf } from '../../src/signing/repository/layout.ts';
import { loadPending } from '../../src/signing/repository/pending-folder.ts';
import { SigningDesk } from './boot-sign-fixture.ts';

// What approvers are shown of a request, by a signing service that says what it likes.

const ID = 'ab'.repeat(16);
let desk: SigningDesk;
let service: Server;
let request: Record<string, unknown>;
let signed: string;
let approvals: { keyId: string }[];

beforeAll(async () => {
  desk = new SigningDesk();
  expect(await desk.init()).toMatchObject({ status: 0 });
  for (const [name, scheme] of [
    ['alice', 'ed25519'],
    ['hsm', 'ecdsa-sha2-nistp256'],
  ] as const)
    expect(
      await desk.run(
        'new-key',
        desk.path(`${name}.json`),
        '--scheme',
        scheme,
        '--key-cost',
        '12',
        ...secret(),
      ),
    ).toMatchObject({ status: 0 });
  const more = ['--role', 'root', '--key', desk.path('hsm.pub.json'), '--threshold', '2'];
  expect(await desk.run('root', 'add-key', desk.repository, ...more, ...secret())).toMatchObject({
    status: 79,
  });
  service = createServer(async (incoming, response) => {
    const body = Buffer.concat(await incoming.toArray()).toString();
    if (incoming.method === 'POST') approvals.push(JSON.parse(body));
    response.end(JSON.stringify({ request, signed }));
  });
  await new Promise<void>((resolve) => service.listen(desk.path('s.sock'), resolve));
});

beforeEach(async () => {
  approvals = [];
  await ask('root');
});

afterAll(() => {
  service.close();
  desk.close();
});

const secret = () => ['--passphrase-file', desk.path('passphrase')];
const run = (command: string, ...args: string[]) =>
  desk.run('requests', command, ID, '--service', desk.path('s.sock'), ...args);
const approve = (...args: string[]) => run('approve', '--key', desk.path('alice.json'), ...args);

/** The pending proposal's file, asked for as this role. */
async function ask(role: string, more: Record<string, unknown> = {}): Promise<void> {
  const { drafts } = await loadPending(layoutOf(desk.repository), 'root-2');
  show(role, Buffer.from(drafts[0]?.canonical ?? '').toString('latin1'), more);
}

function show(role: string, text: string, more: Record<string, unknown> = {}): void {
  signed = text;
  const subject = { id: ID, type: 'metadata', role, version: 2, expiresMs: Date.parse('2030-01-01') };
  const shown = { state: 'open', client: 'desk', people: [], missing: 1 };
  request = { ...subject, sha256: toHex(sha256(asciiBytes(signed))), ...shown, ...more };
}

const hsmKeyId = async () =>
  JSON.parse((await desk.run('inspect', desk.path('hsm.json'), '-o', 'json')).stdout).keyId as string;

describe('requests', () => {
  it('show says who would be able to sign what, in all and as a change', async () => {
    const whole = await run('show');
    expect(whole.stdout).toMatch(/\n {2}root version 2, good until 2027-.*\n {4}root: 2 of 2 keys: /);
    expect(whole.stdout).toContain('timestamp: 1 of 1 keys: ');
    expect(whole.stdout).toMatch(/grant key [0-9a-f]{64}\n/);
    const change = await run('show', '--repository', desk.repository);
    expect(change.stdout).toContain(`root: 2 of 2 keys (was 1 of 1), adds ${await hsmKeyId()}\n`);
    expect(change.stdout).not.toContain('timestamp: ');
  });

  it('S17 approve shows it before anything is signed', async () => {
    const { stdout, status } = await approve('--passphrase-file', desk.path('wrong'));
    expect(status).toBe(77);
    expect(stdout).toContain('root: 2 of 2 keys: ');
    expect(approvals).toEqual([]);
    const approved = await approve(...secret(), '-o', 'json');
    expect(JSON.parse(approved.stdout).changes[1]).toContain('root: 2 of 2 keys: ');
    expect(approvals).toHaveLength(1);
  });

  it('show and approve say what a timestamp names and when it says that it was signed, all of it known', async () => {
    const path = join(desk.repository, 'metadata', 'timestamp.json');
    const timestamp = JSON.parse(readFileSync(path, 'utf8'));
    show('timestamp', canonicalize(timestamp.signed), { version: 1 });
    for (const { stdout } of [
      await run('show'),
      await run('show', '--repository', desk.repository),
      await approve(...secret()),
    ]) {
      expect(stdout).toMatch(/lists snapshot\.json, SHA-256 [0-9a-f]{64}, \d+ bytes, version 1\n/);
      expect(stdout).toContain('says it was signed at 2026-11-21T12:00:00.000Z\n');
      expect(stdout).not.toContain('SAYS MORE');
    }
  });

  it.each<[string, () => Promise<void> | void]>([
    ['a root in the name of another role', () => ask('channel-demo')],
    ['another version than it says', () => ask('root', { version: 3 })],
    ['a type that is not known here', () => ask('root', { type: 'something' })],
    ['a text that is not canonical', () => show('root', signed.replace('{', '{ '))],
    ['a text with more behind it', () => show('root', `${signed},"x":{}`)],
    ['no metadata', () => show('root', '{}')],
  ])('S17 approves no %s', async (_, change) => {
    await change();
    for (const refused of [await run('show'), await approve(...secret())])
      expect(refused).toMatchObject({ status: 65, stdout: '' });
    expect(approvals).toEqual([]);
  });

  it('A10 shows names that drive no terminal', async () => {
    await ask('root', { people: ['\u001b]0;eve\u0007', '\u009b2J'], client: 'c\nroot version 1' });
    const { stdout } = await run('show');
    expect(stdout).toContain('approved by \\u{1b}]0;eve\\u{7}, \\u{9b}2J');
    expect(stdout).toContain('asked by c\\u{a}root version 1');
    expect(stdout).toMatch(/^[\n\x20-\x7e]+$/);
  });
});
