import { execFile, execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';

const PROGRAM = join(import.meta.dirname, '../../bin/boot-admin.mjs');
const NODE = { id: 'n-1', status: 'enrolled', hints: { product: 'caf\u00e9 \u{1f600}\u009b31m' } };

let folder: string;
let socket: string;
let answers: Record<string, (response: ServerResponse) => void>;
const server = createServer((request, response) => {
  const answer = answers[`${request.method} ${request.url}`];
  if (answer === undefined) return void response.writeHead(404).end('{"code":"not-found","detail":"no"}');
  answer(response);
});

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'bootward-admin-'));
  socket = join(folder, 'door.sock');
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  answers = {
    'GET /admin/v1/nodes': (response) => response.end(JSON.stringify({ nodes: [NODE] })),
    'GET /admin/v1/nodes/n-1': (response) => response.end(JSON.stringify({ ...NODE, verdicts: [] })),
    'GET /admin/v1/grant-keys': (response) => response.end('{"ab":{"keytype":"ed25519"}}'),
    'GET /admin/v1/eks': (response) => {
      response.writeHead(200, { 'content-length': 100 }).write('{"eks":');
      setTimeout(() => response.destroy(), 20);
    },
    'GET /admin/v1/verdicts/1/evidence': (response) => {
      const piece = Buffer.alloc(1024 * 1024, 0x20);
      const more = () => {
        while (response.writable && response.write(piece));
      };
      response.on('drain', more);
      more();
    },
  };
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true });
});

interface Run {
  status: number;
  stdout: string;
  stderr: string;
}

function run(args: readonly string[], environment: Record<string, string> = {}): Promise<Run> {
  const env = { ...process.env, BOOTWARD_ADMIN_SOCKET: socket, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...args], { env }, (error, stdout, stderr) =>
      resolve({ status: typeof error?.code === 'number' ? error.code : 0, stdout, stderr }),
    );
  });
}

describe('boot-admin', () => {
  test('prints JSON and YAML that read back as what the server said, in ASCII', async () => {
    const readers: Record<string, (text: string) => unknown> = { json: JSON.parse, yaml: parse };
    for (const [format, read] of Object.entries(readers)) {
      const { status, stdout } = await run(['nodes', 'list', '-o', format]);
      expect(status).toBe(0);
      expect(stdout).toMatch(/^[\x20-\x7e\n]+$/);
      expect(read(stdout)).toEqual([NODE]);
    }
  });

  test('takes the form before and behind the command, and is a table without it', async () => {
    expect(JSON.parse((await run(['-o', 'json', 'nodes', 'show', 'n-1'])).stdout)).toMatchObject(NODE);
    const { stdout } = await run(['nodes', 'show', 'n-1']);
    expect(stdout).toMatch(/^NODE +n-1\nSTATUS +enrolled\n/);
    expect(stdout).toContain('VERDICT  TIME (UTC)');
  });

  test.each<[string, object | null, string]>([
    ['none', null, '-'],
    ['one that is expected', { shown: false }, 'expected, none shown yet'],
    [
      'one that was shown',
      { shown: true, root: 1, targets: 2, snapshot: 30, channel: 4, signedAt: 1_800_000_000 },
      'root 1, targets 2, snapshot 30, channel 4, signed 2027-01-15 08:00:00',
    ],
    [
      'one without a signed time',
      { shown: true, root: 1, targets: 2, snapshot: 30, channel: 4, signedAt: 0 },
      'root 1, targets 2, snapshot 30, channel 4, signed -',
    ],
  ])('shows the floor of a node: %s', async (_what, floor, words) => {
    answers['GET /admin/v1/nodes/n-floor'] = (response) =>
      response.end(JSON.stringify({ ...NODE, floor, verdicts: [] }));
    expect((await run(['nodes', 'show', 'n-floor'])).stdout).toMatch(
      new RegExp(`^FLOOR +${words.replaceAll('-', '\\-')}$`, 'm'),
    );
  });

  test('prints the grant key as a document without being asked', async () => {
    expect(JSON.parse((await run(['grant-key'])).stdout)).toEqual({ ab: { keytype: 'ed25519' } });
  });

  test.each([
    ['a form that there is not', ['nodes', 'list', '-o', 'xml'], 'Allowed choices are table, json, yaml'],
    ['a command that there is not', ['nodes', 'dance'], 'unknown command'],
    ['a noun that there is not', ['ships'], 'unknown command'],
    ['an option that there is not', ['nodes', 'list', '--all'], 'unknown option'],
    ['an argument too few', ['nodes', 'show'], 'missing required argument'],
    ['a floor that is reset for no reason', ['nodes', 'reset-floor', 'n-1'], '--reason'],
    ['a move to nowhere', ['nodes', 'move', 'n-1', '--reason', 'x'], '--channel'],
    ['no command', ['nodes'], 'Usage: boot-admin nodes'],
  ])('exits 64 for %s', async (_what, args, words) => {
    expect(await run(args)).toMatchObject({ status: 64, stderr: expect.stringContaining(words) });
  });

  test('helps with every noun in both ways of asking', async () => {
    for (const args of [
      ['help', 'nodes'],
      ['nodes', '--help'],
    ])
      expect(await run(args)).toMatchObject({ status: 0, stdout: expect.stringContaining('lift-hold') });
  });
});

describe('boot-admin completion bash', () => {
  test('completes nouns, their commands and options, and leaves files to bash', async () => {
    const { stdout } = await run(['completion', 'bash']);
    const script = `${stdout}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _boot_admin; echo "\${COMPREPLY[@]}"`;
    const complete = (...words: string[]) =>
      execFileSync('bash', ['-c', script, 'bash', 'boot-admin', ...words], { encoding: 'utf8' })
        .trim()
        .split(' ');
    expect(complete('nod')).toEqual(['nodes']);
    expect(complete('nodes', 'rej')).toEqual(['reject']);
    expect(complete('verify-evidence', '--j')).toEqual(['--jsonl']);
    expect(complete('ek', 'import', '--cha')).toEqual(['--channel']);
    expect(complete('ek', 'import', 're')).toEqual(['']);
  });
});

describe('the operators socket', () => {
  test('a refusal is its code and detail, exit status 1', async () => {
    expect(await run(['nodes', 'show', 'n-2'])).toEqual({
      status: 1,
      stdout: '',
      stderr: 'boot-admin: not-found: no\n',
    });
  });

  test('nobody there is said with what to look at', async () => {
    const { status, stderr } = await run(['status'], { BOOTWARD_ADMIN_SOCKET: join(folder, 'nobody') });
    expect([status, stderr]).toEqual([1, expect.stringContaining('is the server running')]);
  });

  test('an answer that breaks off is said in words', async () => {
    const { status, stderr } = await run(['ek', 'list']);
    expect([status, stderr]).toEqual([1, expect.stringMatching(/no answer on .*aborted/)]);
  });

  test('an answer that never ends is given up while it arrives', async () => {
    const { status, stderr } = await run(['verdicts', 'export', '1']);
    expect([status, stderr]).toEqual([1, expect.stringContaining('longer than 67108864 bytes')]);
  });
});
