import { copyFileSync, cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PublishedServer } from '../boot-server/api/published-server.ts';
import { FirstRootDesk, filesBelow, THRESHOLDS } from './first-root-fixture.ts';

// Five people in five places make a repository: files are passed between them, private keys are not.

let desk: FirstRootDesk;

beforeEach(async () => {
  desk = await FirstRootDesk.create();
});
afterEach(() => desk.close());

const digestIn = (text: string) => /SHA-256 of all that is signed here: ([0-9a-f]{64})/.exec(text)?.[1];
const signAsCarol = (file: string, ...args: string[]) =>
  desk.run('sign', file, '--new-repository', '--key', desk.privateFile('carol'), ...desk.secret(), ...args);
const dryRun = (file: string) => signAsCarol(file, '--dry-run');

describe('five people, three of whom must sign', () => {
  let server: PublishedServer;

  beforeEach(async () => {
    server = await PublishedServer.start();
    desk.nowMs = server.clock.nowMs();
  });
  afterEach(() => server.close());

  it('make a repository that verifies and that a server serves, and no private key leaves its owner', async () => {
    const { json } = await server.operators('/admin/v1/grant-keys');
    desk.write('grant.pem', JSON.stringify(json));
    const proposed = await desk.propose();
    expect(proposed).toMatchObject({ status: 79, stderr: expect.stringContaining('signatures-missing') });
    expect(proposed.stdout).toContain('root: 3 of 5 keys (new), adds ');
    expect(proposed.stdout).toContain('root version 1 needs 3 more of these keys: ');

    const two = [await desk.signedBy('alice'), await desk.signedBy('dave', 'dave/stage0')];
    const after = await desk.merge(desk.signing, two);
    expect(after.status, 'two are not enough').toBe(79);
    expect(after.stdout).toContain('root version 1 needs 1 more of these keys: ');
    expect(after.stdout).not.toContain('stage0 version 1 needs');
    expect(readdirSync(join(desk.signing, 'metadata'))).toEqual([]);

    const third = await desk.merge(desk.signing, [await desk.signedBy('erin', 'erin/release')]);
    expect(third, 'the online key is elsewhere').toMatchObject({
      status: 65,
      stderr: expect.stringMatching(/snapshot version 1 needs 1 more .*\(tuf-threshold-not-met\)/),
    });
    for (const file of filesBelow(desk.composer))
      expect(readFileSync(file, 'latin1'), file).not.toMatch(/PRIVATE KEY|bootward-key-v1/);

    const folder = desk.path('service/signing');
    cpSync(desk.signing, folder, { recursive: true });
    const online = ['--sign-with', desk.privateFile('service/online'), ...desk.secret()];
    expect(await desk.merge(folder, [], ...online)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('in force: root-1'),
    });
    expect(readdirSync(join(folder, 'pending'))).toEqual([]);

    const root = join(folder, 'metadata', '1.root.json');
    const inspected = JSON.parse((await desk.run('inspect', root, '-o', 'json')).stdout);
    const looked = JSON.parse(
      (await desk.run('inspect', desk.path('alice/root-1.json'), '-o', 'json')).stdout,
    );
    expect(looked.proposalSha256).toBe(digestIn(proposed.stdout));
    expect(inspected.signedSha256, 'a lone root, by the proposal of who signed').toBe(
      looked.signedSha256.root,
    );
    expect(inspected.signatures).toHaveLength(3);
    const verified = await desk.run('verify', folder, '--root', root);
    expect(verified).toMatchObject({
      status: 0,
      stdout: expect.stringContaining('good: 6 roles, 0 artifacts'),
    });
    expect(verified.stdout, 'what people compared is in force').toContain(
      `SHA-256 of all that was signed when it was made: ${digestIn(proposed.stdout)}`,
    );
    expect(await desk.run('keys', folder)).toMatchObject({ status: 0, stdout: '' });
    const published = await desk.run('publish', folder, '--socket', server.config.operators.socket);
    expect(published).toMatchObject({ status: 0, stdout: expect.stringContaining('served now: root 1') });
    expect(published.stdout).not.toContain('warning');

    const release = ['--channel', 'demo', '--version', '1', '--name', 'one', '--cmdline', 'quiet'];
    const files = ['--kernel', desk.path('kernel'), '--initramfs', desk.path('initramfs')];
    const erin = ['--sign-with', desk.privateFile('erin/release')];
    expect(await desk.run('release', folder, ...release, ...files, ...erin, ...online)).toMatchObject({
      status: 0,
    });
    const later = await desk.run('verify', folder);
    expect(later.stdout).toContain('channels/demo/1.json "one"');
    expect(later.stdout, 'other things have been signed since').not.toContain('signed when it was made');
  });
});

describe('people who make a repository', () => {
  it('see the same hash before they sign, and what each of them is about to say', async () => {
    const { stdout } = await desk.propose();
    const file = desk.path('carol/root-1.json');
    copyFileSync(desk.proposal, file);
    const shown = await dryRun(file);
    expect(digestIn(shown.stdout)).toBe(digestIn(stdout));
    expect(shown.stdout).toMatch(/^compared with nothing: a new repository\n/);
    expect(shown.stdout).not.toContain('NOT VERIFIED');
    const added = `root: 3 of 5 keys \\(new\\), adds .*${await desk.keyIdOf('bob')}`;
    expect(shown.stdout).toMatch(new RegExp(added));
    const listed = await desk.run('pending', 'list', desk.signing);
    expect(digestIn(listed.stdout)).toBe(digestIn(stdout));
    expect(listed.stdout).toMatch(new RegExp(added));
  });

  it('S3 count once each, however often one of them signs', async () => {
    await desk.propose();
    const first = await desk.signedBy('alice');
    const copy = join(desk.composer, 'again.json');
    copyFileSync(first, copy);
    const merged = await desk.merge(desk.signing, [copy, await desk.signedBy('alice'), copy]);
    expect(merged.status).toBe(79);
    expect(merged.stdout).toContain('root version 1 needs 2 more of these keys: ');
  });

  it('S1 are not joined by who puts a signature under the key ids of others', async () => {
    await desk.propose();
    const file = await desk.signedBy('alice');
    const document = JSON.parse(readFileSync(file, 'utf8'));
    const { signatures } = document.files[0].metadata;
    for (const person of ['bob', 'carol'])
      signatures.push({ keyid: await desk.keyIdOf(person), sig: signatures[0].sig });
    writeFileSync(file, JSON.stringify(document));
    const merged = await desk.merge(desk.signing, [file]);
    expect(merged.status).toBe(79);
    expect(merged.stdout).toContain('root version 1 needs 2 more of these keys: ');
  });

  it('sign what was proposed: a copy that says something else is refused, and has another hash', async () => {
    const { stdout } = await desk.propose();
    const file = join(desk.composer, 'altered.json');
    writeFileSync(file, readFileSync(desk.proposal, 'utf8').replace('"threshold": 3', '"threshold": 1'));
    expect(await desk.merge(desk.signing, [file])).toMatchObject({
      status: 65,
      stderr: expect.stringContaining('tuf-proposal-invalid'),
    });
    const other = digestIn((await dryRun(file)).stdout);
    expect(other).toMatch(/^[0-9a-f]{64}$/);
    expect(other).not.toBe(digestIn(stdout));
  });

  it('S1 are not cheated by a composer who gives them the same root, and a channel to one of his own keys', async () => {
    const { stdout } = await desk.propose();
    const honest = desk.path('carol/honest.json');
    copyFileSync(desk.proposal, honest);
    await desk.run('pending', 'drop', desk.signing, '--name', 'root-1');
    const more = ['--key', `channel-demo=${desk.publicFile('mallory')}`, '--threshold', 'channel-demo=1'];
    await desk.rootInit(...desk.keyOptions(), ...more, ...THRESHOLDS);
    const cheating = desk.path('carol/cheating.json');
    copyFileSync(desk.proposal, cheating);
    const inspect = async (file: string) =>
      JSON.parse((await desk.run('inspect', file, '-o', 'json')).stdout);
    expect((await inspect(cheating)).signedSha256.root).toBe((await inspect(honest)).signedSha256.root);

    const other = digestIn((await dryRun(cheating)).stdout);
    expect(other).toMatch(/^[0-9a-f]{64}$/);
    expect(other).not.toBe(digestIn(stdout));
    const before = readFileSync(cheating);
    for (const args of [[], ['--dry-run']])
      expect(await signAsCarol(cheating, '--expect', digestIn(stdout) ?? '', ...args)).toMatchObject({
        status: 65,
        stdout: '',
        stderr: expect.stringMatching(/not the proposal that you looked at.*\(tuf-proposal-unexpected\)/),
      });
    expect(readFileSync(cheating)).toEqual(before);
    expect(await signAsCarol(honest, '--expect', digestIn(stdout) ?? '')).toMatchObject({ status: 0 });
    expect(digestIn((await dryRun(honest)).stdout), 'signatures are not signed').toBe(digestIn(stdout));
  });

  it('sign nothing by half of a hash', async () => {
    await desk.propose();
    const before = readFileSync(desk.proposal);
    for (const digest of ['', 'abcdef12', 'A'.repeat(64)])
      expect(await signAsCarol(desk.proposal, '--expect', digest)).toMatchObject({
        status: 64,
        stderr: expect.stringContaining('64 lower-case hex digits'),
      });
    expect(readFileSync(desk.proposal)).toEqual(before);
  });

  it('give a proposal up, and make another one', async () => {
    await desk.propose();
    expect(await desk.propose(), 'one waits').toMatchObject({
      status: 73,
      stderr: expect.stringContaining('pending drop'),
    });
    expect(await desk.run('pending', 'drop', desk.signing, '--name', 'root-1')).toMatchObject({ status: 0 });
    expect(await desk.rootInit(...desk.keyOptions(), ...THRESHOLDS)).toMatchObject({ status: 79 });
  });
});
