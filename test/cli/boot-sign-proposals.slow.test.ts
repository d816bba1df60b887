import { copyFileSync, cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openKeyFile } from '../../src/signing/keys/key-file.ts';
import { type Flippable, signDocument } from '../signing/tuf/tuf-fixture.ts';
import { NOW_MS, PASSPHRASE, SigningDesk } from './boot-sign-fixture.ts';

// What a person is shown before they sign: also when the file in their hands was made to deceive them.

const DAY_MS = 86_400_000;
let desk: SigningDesk;
/** A proposal that makes mallory's key a root key, as mallory passes it around. */
let file: string;
let mallory: string;

beforeAll(async () => {
  desk = new SigningDesk();
  expect(await desk.init()).toMatchObject({ status: 0 });
  copyFileSync(join(desk.repository, 'metadata', '1.root.json'), desk.path('trusted'));
  mallory = await newKey('mallory');
  const takeover = ['--role', 'root', '--key', desk.path('mallory.pub.json'), '--threshold', '2'];
  expect(await root('add-key', ...takeover)).toMatchObject({ status: 79 });
  cpSync(desk.repository, desk.path('as-it-was'), { recursive: true });
});

beforeEach(() => {
  desk.nowMs = NOW_MS;
  rmSync(desk.repository, { recursive: true });
  cpSync(desk.path('as-it-was'), desk.repository, { recursive: true });
  file = desk.path('passed-around');
  copyFileSync(pending('root-2'), file);
});

afterAll(() => desk.close());

const passphrase = () => ['--passphrase-file', desk.path('passphrase')];
const pending = (name: string) => join(desk.repository, 'pending', `${name}.json`);
const root = (command: string, ...args: string[]) =>
  desk.run('root', command, desk.repository, ...passphrase(), ...args);
const sign = (...args: string[]) =>
  desk.run('sign', file, '--key', join(desk.repository, 'keys', 'root.json'), ...passphrase(), ...args);
const trusted = () => ['--root', desk.path('trusted')];

async function newKey(name: string): Promise<string> {
  const made = await desk.run('new-key', desk.path(`${name}.json`), '--key-cost', '12', ...passphrase());
  expect(made).toMatchObject({ status: 0 });
  return JSON.parse((await desk.run('inspect', desk.path(`${name}.json`), '-o', 'json')).stdout).keyId;
}

function flip(path: string, change: (proposal: Flippable) => void): void {
  const proposal = JSON.parse(readFileSync(path, 'utf8'));
  change(proposal);
  writeFileSync(path, JSON.stringify(proposal));
}

/** A base in which mallory's key was a root key all along. */
async function forgeBase(): Promise<void> {
  const { files } = JSON.parse(readFileSync(file, 'utf8'));
  const signer = await openKeyFile(desk.path('mallory.json'), PASSPHRASE);
  const signed = { ...files[0].metadata.signed, version: 1 };
  signed.roles.root.threshold = 1;
  const forged = await signDocument(signed, [signer]);
  flip(file, ({ base }) => Object.assign(base, { '1.root.json': Buffer.from(forged).toString() }));
}

describe('sign', () => {
  it('refuses to take the proposal’s word for what was in force before', async () => {
    const before = readFileSync(file);
    for (const args of [[], ['--dry-run'], [...trusted(), '--trust-base']])
      expect(await sign(...args)).toMatchObject({ status: 64, stderr: expect.stringContaining('--root') });
    expect(readFileSync(file)).toEqual(before);
  });

  it('S1 shows a takeover that the proposal’s own base hides', async () => {
    await forgeBase();
    const deceived = await sign('--trust-base', '--dry-run');
    expect(deceived.stdout).toMatch(/^NOT VERIFIED: /);
    expect(deceived.stdout).not.toContain('(was 1 of 1)');
    const shown = await sign(...trusted(), '--dry-run');
    expect(shown.stdout).toContain(`root: 2 of 2 keys (was 1 of 1), adds ${mallory}`);
    expect(shown.stdout).not.toContain('NOT VERIFIED');
    expect(shown.stdout).toMatch(
      /^compared with root version 1, SHA-256 [0-9a-f]{64}, and timestamp version 1 of 2026-11-21T12:00:00/,
    );
    const beside = await sign('--repository', desk.repository, '--dry-run');
    expect(beside.stdout).toContain(`root: 2 of 2 keys (was 1 of 1), adds ${mallory}`);
  });

  it('S1 refuses a base that others than the keys of the trusted root signed', async () => {
    const signer = await openKeyFile(desk.path('mallory.json'), PASSPHRASE);
    const before = JSON.parse(readFileSync(file, 'utf8')).base['1.targets.json'];
    const forged = await signDocument(JSON.parse(before).signed, [signer]);
    flip(file, ({ base }) => Object.assign(base, { '1.targets.json': Buffer.from(forged).toString() }));
    expect(await sign(...trusted())).toMatchObject({
      status: 65,
      stdout: '',
      stderr: expect.stringContaining('does not follow from the trusted root'),
    });
  });

  it('S5 refuses a file that is not the next version of its role', async () => {
    flip(file, ({ files }) => Object.assign(files[0].metadata.signed, { version: 3 }));
    for (const base of [trusted(), ['--trust-base']])
      expect(await sign(...base)).toMatchObject({
        status: 65,
        stderr: expect.stringContaining('tuf-proposal-outdated'),
      });
  });

  it('says when what the base rests on has expired', async () => {
    desk.nowMs = NOW_MS + 40 * DAY_MS;
    const { stdout } = await sign(...trusted(), '--dry-run');
    expect(stdout).toContain('warning: that expired at 2026-12-21T12:00:00.000Z');
  });

  it('shows what it signs before it is signed', async () => {
    const wrong = [
      '--key',
      join(desk.repository, 'keys', 'root.json'),
      '--passphrase-file',
      desk.path('wrong'),
    ];
    const { status, stdout } = await desk.run('sign', file, ...wrong, ...trusted());
    expect(status).toBe(77);
    expect(stdout).toContain(`adds ${mallory}`);
    const own = ['--key', desk.path('mallory.json'), ...passphrase()];
    const signed = await desk.run('sign', file, ...own, ...trusted(), '-o', 'json');
    expect(JSON.parse(signed.stdout)).toMatchObject({
      signatures: 1,
      changes: [expect.stringContaining('root version 2'), expect.stringContaining(`adds ${mallory}`)],
      base: { verified: true, root: 1 },
    });
  });
});

describe('signatures that are none', () => {
  const keyIdOf = async (name: string): Promise<string> =>
    JSON.parse(
      (await desk.run('inspect', join(desk.repository, 'keys', `${name}.json`), '-o', 'json')).stdout,
    ).keyId;
  const junk = (path: string, keyIds: readonly string[]) =>
    flip(path, ({ files }) =>
      Object.assign(files[0].metadata, {
        signatures: keyIds.map((keyid) => ({ keyid, sig: '00'.repeat(64) })),
      }),
    );

  it('S3 keep nobody from signing: neither under their own key id, nor by their number', async () => {
    const own = await keyIdOf('root');
    const many = Array.from({ length: 32 }, (_, index) => `${index}`.padStart(64, '0'));
    for (const keyIds of [[own], many]) {
      junk(file, keyIds);
      const { status, stdout } = await sign(...trusted());
      expect([status, stdout]).toEqual([
        0,
        expect.stringContaining(`DROPPED ${keyIds.length} signatures of root-2 that do not verify`),
      ]);
      const { signatures } = JSON.parse(readFileSync(file, 'utf8')).files[0].metadata;
      expect(signatures).toEqual([{ keyid: own, sig: expect.stringMatching(/^(?!0000)[0-9a-f]{128}$/) }]);
    }
  });

  it('S3 fill no list that others merge into', async () => {
    junk(
      pending('root-2'),
      Array.from({ length: 32 }, (_, index) => `${index}`.padStart(64, '0')),
    );
    const listed = await desk.run('pending', 'list', desk.repository);
    expect(listed.stdout).toContain('DROPPED 32 signatures');
    const merged = await desk.run(
      ...['merge', desk.repository, '--name', 'root-2', '--from', file],
      ...passphrase(),
    );
    expect(merged.stdout).toContain('DROPPED 32 signatures');
    const { signatures } = JSON.parse(readFileSync(pending('root-2'), 'utf8')).files[0].metadata;
    expect(signatures).toHaveLength(1);
  });
});

describe('pending', () => {
  it('compares with the repository, whatever the base in the file says', async () => {
    await forgeBase();
    copyFileSync(file, pending('root-2'));
    const listed = await desk.run('pending', 'list', desk.repository);
    expect(listed.stdout).toContain(`root: 2 of 2 keys (was 1 of 1), adds ${mallory}`);
    const merged = await desk.sign('merge', '--name', 'root-2');
    expect(merged).toMatchObject({ status: 79 });
    expect(merged.stdout).toContain(`root: 2 of 2 keys (was 1 of 1), adds ${mallory}`);
  });

  it('says of a proposal that others have overtaken that it is', async () => {
    flip(pending('root-2'), ({ files }) => Object.assign(files[0].metadata.signed, { version: 3 }));
    const { stdout } = await desk.run('pending', 'list', desk.repository);
    expect(stdout).toContain('root is at version 1 by now, the proposal would make it 3');
  });

  it('refuses a file that says another name than its own', async () => {
    copyFileSync(pending('root-2'), pending('root-3'));
    const refused = { status: 65, stderr: expect.stringMatching(/root-3\.json says that it is root-2/) };
    expect(await desk.run('pending', 'list', desk.repository)).toMatchObject(refused);
    expect(await desk.run('pending', 'drop', desk.repository, '--name', 'root-3')).toMatchObject(refused);
    expect(await desk.sign('merge', '--name', 'root-3')).toMatchObject(refused);
    expect(readFileSync(pending('root-2')).length).toBeGreaterThan(0);
  });
});

describe('what others wrote drives no terminal', () => {
  const ESCAPE = '\u001b]0;owned\u0007';

  it('in an error, in text and in JSON', async () => {
    const name = desk.path(`no${ESCAPE}\u009b2J.json`);
    for (const output of ['text', 'json']) {
      const { status, stdout, stderr } = await desk.run('inspect', name, '-o', output);
      expect(status).toBe(66);
      expect(stdout + stderr).toMatch(/^[\n\x20-\x7e]+$/);
    }
  });

  it('in a name that is listed, and in what the shell made of a wildcard', async () => {
    const folder = desk.path(`in${ESCAPE}`);
    mkdirSync(folder);
    const shown = await desk.run('new-key', join(folder, 'a.json'), '--key-cost', '12', ...passphrase());
    expect(shown.stdout).toContain('\\u{1b}]0;owned\\u{7}');
    expect(shown.stdout).toMatch(/^[\n\x20-\x7e]+$/);
    const { status, stderr } = await desk.run('inspect', `--${ESCAPE}`);
    expect(status).toBe(64);
    expect(stderr).toMatch(/^[\n\x20-\x7e]+$/);
  });
});
