import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { verifyRootChain } from '../../src/signing/tuf/root.ts';
import { SigningDesk } from './boot-sign-fixture.ts';

// Ceremonies: several people, each with a key of their own, files passed between them.

let desk: SigningDesk;

beforeAll(async () => {
  desk = new SigningDesk();
  expect(await desk.init()).toMatchObject({ status: 0 });
  cpSync(desk.repository, desk.path('new'), { recursive: true });
});

beforeEach(() => {
  rmSync(desk.repository, { recursive: true });
  cpSync(desk.path('new'), desk.repository, { recursive: true });
  for (const file of readdirSync(desk.folder)) if (file.endsWith('.json')) rmSync(desk.path(file));
});

afterAll(() => desk.close());

const passphrase = () => ['--passphrase-file', desk.path('passphrase')];

/** Everyone was given the first root when the repository was made, and has kept it. */
const trusted = () => ['--root', desk.path('new/metadata/1.root.json')];

async function newKey(
  name: string,
  scheme = 'ed25519',
): Promise<{ file: string; pub: string; keyId: string }> {
  const file = desk.path(`${name}.json`);
  const args = ['new-key', file, '--scheme', scheme, '--key-cost', '12', '-o', 'json', ...passphrase()];
  const { status, stdout, stderr } = await desk.run(...args);
  expect(stderr).toBe('');
  expect(status).toBe(0);
  return { file, pub: desk.path(`${name}.pub.json`), keyId: JSON.parse(stdout).keyId };
}

const root = (command: string, ...args: string[]) =>
  desk.run('root', command, desk.repository, ...passphrase(), ...args);
const signFile = (file: string, ...keys: string[]) =>
  desk.run('sign', file, ...trusted(), ...keys.flatMap((key) => ['--key', key]), ...passphrase());
const merge = (name: string, ...files: string[]) =>
  desk.sign('merge', '--name', name, ...files.flatMap((file) => ['--from', file]));
const pending = (name: string) => join(desk.repository, 'pending', `${name}.json`);
const verify = () => desk.run('verify', desk.repository, '-o', 'json');
const roleOf = async (name: string) =>
  JSON.parse((await desk.run('root', 'show', desk.repository, '-o', 'json')).stdout).roles.find(
    ({ role }: { role: string }) => role === name,
  );

/** Channel demo by two of three: alice, bob and carol; the key that init made is gone. */
async function threeForDemo() {
  const people = [await newKey('alice'), await newKey('bob', 'ecdsa-sha2-nistp256'), await newKey('carol')];
  for (const { pub } of people)
    expect(await root('add-key', '--role', 'channel-demo', '--key', pub)).toMatchObject({ status: 0 });
  const { keys } = await roleOf('channel-demo');
  // The role still has threshold 1 and init's key at hand; from here on nobody is alone.
  const gone = ['--role', 'channel-demo', '--key-id', keys[0].keyId, '--threshold', '2'];
  return { people, gone };
}

describe('a channel of two of three', () => {
  it('needs two of its people to take the first key away, and lists a release with two signatures', async () => {
    const { people, gone } = await threeForDemo();
    const [alice, bob, carol] = people as [(typeof people)[0], (typeof people)[0], (typeof people)[0]];
    const removal = await root('remove-key', ...gone);
    expect(removal).toMatchObject({ status: 79 });
    expect(removal.stdout).toContain('channel-demo: 2 of 3 keys (was 1 of 4)');
    const [name] = JSON.parse(
      (await desk.run('pending', 'list', desk.repository, '-o', 'json')).stdout,
    ).pending.map((one: { name: string }) => one.name);
    expect(await signFile(pending(name), alice.file, bob.file)).toMatchObject({ status: 0 });
    expect(await merge(name)).toMatchObject({ status: 0 });
    expect(await roleOf('channel-demo')).toMatchObject({ threshold: 2, keys: { length: 3 } });

    expect(await desk.release(1)).toMatchObject({ status: 79 });
    const proposal = pending(`channel-demo-${(await demoVersion()) + 1}`);
    const copies = [desk.path('for-bob'), desk.path('for-carol')] as const;
    for (const copy of copies) writeFileSync(copy, readFileSync(proposal));
    const shown = await desk.run('sign', copies[0], ...trusted(), '--key', bob.file, '--dry-run');
    expect(shown.stdout).toContain('lists channels/demo/1.json "demo release 1"');
    expect(await signFile(copies[0], bob.file)).toMatchObject({ status: 0 });
    const waiting = proposal.replace(/^.*\/|\.json$/g, '');
    expect(await merge(waiting, copies[0])).toMatchObject({ status: 79 });
    expect(await signFile(copies[1], carol.file)).toMatchObject({ status: 0 });
    expect(await merge(waiting, copies[1])).toMatchObject({ status: 0 });
    expect(JSON.parse((await verify()).stdout).releases).toHaveLength(1);
    expect((await desk.run('pending', 'list', desk.repository)).stdout).toBe('nothing waits\n');
  });

  it('S3 does not count one person twice', async () => {
    const { people, gone } = await threeForDemo();
    const [alice] = people as [(typeof people)[0]];
    expect(await root('remove-key', ...gone)).toMatchObject({ status: 79 });
    const file = pending(`targets-${5}`);
    expect(await signFile(file, alice.file, alice.file)).toMatchObject({ status: 0 });
    expect(await signFile(file, alice.file)).toMatchObject({ status: 64 });
    expect(await merge('targets-5')).toMatchObject({ status: 79 });
  });

  it('S1 a stranger’s key signs nothing', async () => {
    const { gone } = await threeForDemo();
    const stranger = await newKey('stranger');
    expect(await root('remove-key', ...gone)).toMatchObject({ status: 79 });
    expect(await signFile(pending('targets-5'), stranger.file)).toMatchObject({ status: 64 });
  });
});

const demoVersion = async () =>
  JSON.parse((await verify()).stdout).roles.find(({ role }: { role: string }) => role === 'channel-demo')
    .version;

describe('root', () => {
  it('N+1 needs the thresholds of N and of N+1', async () => {
    const dora = await newKey('dora', 'rsassa-pss-sha256');
    const added = await root('add-key', '--role', 'root', '--key', dora.pub, '--threshold', '2');
    expect(added).toMatchObject({ status: 79 });
    expect(JSON.parse((await verify()).stdout).roles[0]).toMatchObject({ role: 'root', version: 1 });
    expect(await signFile(pending('root-2'), dora.file)).toMatchObject({ status: 0 });
    expect(await merge('root-2')).toMatchObject({ status: 0 });

    // v3 by the old key alone, then with the new one: both of v2 have to.
    const [init] = (await roleOf('root')).keys;
    const removed = await root('remove-key', '--role', 'root', '--key-id', init.keyId, '--threshold', '1');
    expect(removed).toMatchObject({ status: 79 });
    expect(await merge('root-3')).toMatchObject({ status: 79 });
    expect(await signFile(pending('root-3'), dora.file)).toMatchObject({ status: 0 });
    expect(await merge('root-3')).toMatchObject({ status: 0 });
    expect((await desk.run('root', 'verify', desk.repository)).stdout).toBe('good: root 1, 2, 3\n');
    expect(await roleOf('root')).toMatchObject({ threshold: 1, keys: [{ keyId: dora.keyId }] });
  });

  it('that exchanges the online keys is in force at once, and everything below it verifies', async () => {
    const online = await newKey('repository/keys/online');
    const { keys } = await roleOf('timestamp');
    const rotated = await root('rotate', '--key-id', keys[0].keyId, '--key', online.pub);
    expect(rotated).toMatchObject({ status: 0, stdout: expect.stringContaining('timestamp: 1 of 1 keys') });
    expect(await verify()).toMatchObject({ status: 0 });
    expect(await desk.release(1)).toMatchObject({ status: 0 });
  });

  it('whose signature was altered in a merged file stays as it was', async () => {
    const dora = await newKey('dora');
    expect(await root('add-key', '--role', 'root', '--key', dora.pub, '--threshold', '2')).toMatchObject({
      status: 79,
    });
    const copy = desk.path('copy');
    writeFileSync(copy, readFileSync(pending('root-2')));
    expect(await signFile(copy, dora.file)).toMatchObject({ status: 0 });
    const text = readFileSync(copy, 'utf8');
    const { sig } = JSON.parse(text).files[0].metadata.signatures.find(
      ({ keyid }: { keyid: string }) => keyid === dora.keyId,
    );
    writeFileSync(copy, text.replace(sig, `${sig.startsWith('00') ? '11' : '00'}${sig.slice(2)}`));
    expect(await merge('root-2', copy)).toMatchObject({ status: 79 });
    writeFileSync(copy, text.replaceAll('"threshold": 2', '"threshold": 1'));
    expect(await merge('root-2', copy)).toMatchObject({ status: 65 });
    writeFileSync(copy, text);
    expect(await merge('root-2', copy)).toMatchObject({ status: 0 });
  });

  it('shows what would change and signs nothing with --dry-run', async () => {
    const dora = await newKey('dora');
    const before = readFileSync(join(desk.repository, 'metadata', 'timestamp.json'), 'utf8');
    const said = await root('add-key', '--role', 'root', '--key', dora.pub, '--dry-run');
    expect(said).toMatchObject({ status: 0, stdout: expect.stringContaining(`adds ${dora.keyId}`) });
    expect(readFileSync(join(desk.repository, 'metadata', 'timestamp.json'), 'utf8')).toBe(before);
    expect(await verify()).toMatchObject({ status: 0 });
  });

  it.each([
    [
      'a threshold that its keys cannot meet',
      ['threshold', '--role', 'targets', '--threshold', '2'],
      'tuf-keys-refused',
    ],
    [
      'a role that is not there',
      ['threshold', '--role', 'channel-none', '--threshold', '1'],
      'tuf-role-invalid',
    ],
    ['nothing', ['threshold', '--role', 'targets', '--threshold', '1'], 'tuf-proposal-invalid'],
  ])('S4 refuses %s', async (_, [command = '', ...args], code) => {
    expect(await root(command, ...args)).toMatchObject({ status: 65, stderr: expect.stringContaining(code) });
  });

  it('keeps a key in one role where one thief must not have two', async () => {
    const shared = await newKey('shared');
    expect(await root('add-key', '--role', 'channel-demo', '--key', shared.pub)).toMatchObject({ status: 0 });
    for (const role of ['root', 'targets', 'snapshot', 'timestamp', 'stage0'])
      expect(await root('add-key', '--role', role, '--key', shared.pub)).toMatchObject({
        status: 65,
        stderr: expect.stringContaining('tuf-keys-refused'),
      });
  });

  it('lets a post-quantum key sign where only servers look, and nowhere that nodes must count it', async () => {
    const pq = await newKey('pq', 'ml-dsa-65');
    const hybrid = ['--key', pq.pub, '--threshold', '2'];
    const refused = await root('add-key', '--role', 'channel-demo', ...hybrid);
    expect(refused).toMatchObject({ status: 65, stderr: expect.stringContaining('nodes can verify 1') });
    expect(await root('add-key', '--role', 'stage0', ...hybrid)).toMatchObject({ status: 79 });
    expect(await signFile(pending('targets-2'), pq.file)).toMatchObject({ status: 0 });
    expect(await merge('targets-2')).toMatchObject({ status: 0 });
    expect(await verify()).toMatchObject({ status: 0 });
  });

  it('names another grant key, and forgets the first', async () => {
    const next = await newKey('next-grant');
    expect(await root('grant-key', '--add', next.pub)).toMatchObject({ status: 0 });
    const { grantKeys } = JSON.parse((await desk.run('root', 'show', desk.repository, '-o', 'json')).stdout);
    expect(grantKeys).toHaveLength(2);
    expect(grantKeys).toContain(next.keyId);
    const old = grantKeys.find((id: string) => id !== next.keyId);
    expect(await root('grant-key', '--remove', old)).toMatchObject({ status: 0 });
    expect(
      JSON.parse((await desk.run('root', 'show', desk.repository, '-o', 'json')).stdout).grantKeys,
    ).toEqual([next.keyId]);
  });
});

it('prints the public half of a key, as new-key wrote it', async () => {
  const { file, pub } = await newKey('alice', 'ecdsa-sha2-nistp256');
  const { stdout } = await desk.run('public-key', file, ...passphrase());
  expect(JSON.parse(stdout)).toEqual(JSON.parse(readFileSync(pub, 'utf8')));
  const none = await desk.run('public-key', 'pkcs11:token=alice;object=k?pin-value=4711', ...passphrase());
  expect(none).toMatchObject({ status: 64, stdout: '' });
  expect(none.stderr).not.toContain('4711');
});

describe('withdraw', () => {
  it('lists a release no longer, and gives its number to no other', async () => {
    expect(await desk.release(1)).toMatchObject({ status: 0 });
    expect(await desk.release(2)).toMatchObject({ status: 0 });
    const what = ['--channel', 'demo', '--version', '1'];
    expect(await desk.sign('withdraw', ...what, '--dry-run')).toMatchObject({
      status: 0,
      stdout: 'would withdraw channels/demo/1.json\n',
    });
    expect(await desk.sign('withdraw', ...what)).toMatchObject({ status: 0 });
    const { releases } = JSON.parse((await verify()).stdout);
    expect(releases.map(({ version }: { version: number }) => version)).toEqual([2]);
    expect(await desk.release(1)).toMatchObject({
      status: 65,
      stderr: expect.stringContaining('number-taken'),
    });
    expect(await desk.sign('withdraw', ...what)).toMatchObject({ status: 65 });
  });

  it.each([[[]], [['--channel', 'demo']], [['--version', '1', '--build', '1']]])(
    'wants one thing named, not %j',
    async (args) => expect(await desk.sign('withdraw', ...args)).toMatchObject({ status: 64 }),
  );
});

describe('a channel', () => {
  it('is added to a repository that is there, with keys of its own', async () => {
    const eve = await newKey('repository/keys/edge');
    const added = await desk.run(
      'channel',
      'add',
      desk.repository,
      '--channel',
      'edge',
      '--key',
      eve.pub,
      ...passphrase(),
    );
    expect(added).toMatchObject({ status: 0 });
    expect(await desk.release(1, '--channel', 'edge')).toMatchObject({ status: 0 });
  });
});

describe('a change that was cut short', () => {
  it('is what the next reader sees, and the next change finishes it', async () => {
    const online = await newKey('repository/keys/online');
    const { keys } = await roleOf('timestamp');
    const before = new Map(
      ['timestamp.json', '1.root.json'].map((name) => [
        name,
        readFileSync(join(desk.repository, 'metadata', name)),
      ]),
    );
    expect(await root('rotate', '--key-id', keys[0].keyId, '--key', online.pub)).toMatchObject({ status: 0 });
    // As if power had gone when the root was there and the timestamp was not.
    const files = ['2.root.json', '2.snapshot.json', 'timestamp.json'];
    const journal = Object.fromEntries(
      files.map((name) => [name, readFileSync(join(desk.repository, 'metadata', name), 'utf8')]),
    );
    writeFileSync(join(desk.repository, '.change.json'), JSON.stringify(journal));
    writeFileSync(join(desk.repository, 'metadata', 'timestamp.json'), before.get('timestamp.json') ?? '');
    rmSync(join(desk.repository, 'metadata', '2.snapshot.json'));
    expect(await verify()).toMatchObject({ status: 0 });
    expect(await desk.release(1)).toMatchObject({ status: 0 });
    rmSync(join(desk.repository, '.change.json'), { force: true });
    expect(await verify()).toMatchObject({ status: 0 });
    const chain = verifyRootChain(before.get('1.root.json') ?? new Uint8Array(), await allFiles());
    expect(chain.map(({ version }) => version)).toEqual([1, 2]);
  });
});

async function allFiles(): Promise<Map<string, Uint8Array>> {
  const names = ['1.root.json', '2.root.json'];
  return new Map(names.map((name) => [name, readFileSync(join(desk.repository, 'metadata', name))]));
}
