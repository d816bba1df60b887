import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FirstRootDesk, ROLES, THRESHOLDS } from './first-root-fixture.ts';

let desk: FirstRootDesk;

beforeAll(async () => {
  desk = await FirstRootDesk.create();
  // What makes a file a private key is its first line.
  desk.write('private.pem', `-----BEGIN PRIVATE ${'KEY'}-----\n`);
});
afterAll(() => desk.close());

describe('root init', () => {
  const { stage0: _, ...WITHOUT_STAGE0 } = ROLES;
  const keys = (roles = ROLES) => desk.keyOptions(roles);

  it.each<[string, () => readonly string[], number, string]>([
    ['no key for a role', () => [...keys(WITHOUT_STAGE0), ...THRESHOLDS], 64, 'stage0 has no key'],
    [
      'a threshold for a role without keys',
      () => [...keys(), '--threshold', 'channel-x=1'],
      64,
      'root has 5',
    ],
    ['no threshold for five keys', () => keys(), 64, '--threshold root=N'],
    ['S4 a threshold of none', () => [...keys(), '--threshold', 'root=0'], 64, 'positive integer'],
    ['a threshold twice', () => [...keys(), ...THRESHOLDS, ...THRESHOLDS], 64, 'given twice'],
    ['a role that is none', () => ['--key', `mallory=${desk.publicFile('alice')}`], 64, 'ROLE=FILE'],
    ['a key of no role', () => ['--key', desk.publicFile('alice')], 64, 'ROLE=FILE'],
    ['a channel with no name', () => ['--key', `channel-=${desk.publicFile('alice')}`], 64, 'ROLE=FILE'],
    [
      'a private key',
      () => [...keys(WITHOUT_STAGE0), ...THRESHOLDS, '--key', `stage0=${desk.path('private.pem')}`],
      64,
      'holds a private key',
    ],
    ['S4 six of five', () => [...keys(), ...THRESHOLDS.slice(2), '--threshold', 'root=6'], 65, '6 of 5 keys'],
    [
      'S3 one key twice',
      () => [...keys({ ...ROLES, root: ['bob', 'bob'] }), ...THRESHOLDS],
      65,
      'there twice',
    ],
    [
      'a key of root for stage0',
      () => [...keys({ ...ROLES, stage0: ['bob'] }), ...THRESHOLDS],
      65,
      'stage0: whoever',
    ],
  ])('refuses %s, and leaves nothing behind', async (_name, options, status, words) => {
    expect(await desk.rootInit(...options())).toMatchObject({
      status,
      stdout: '',
      stderr: expect.stringContaining(words),
    });
    expect(existsSync(desk.signing)).toBe(false);
  });

  it('shows with --dry-run what it would propose, and writes nothing', async () => {
    const shown = await desk.rootInit(...keys(), ...THRESHOLDS, '--dry-run');
    expect(shown).toMatchObject({ status: 0, stdout: expect.stringContaining('root: 3 of 5 keys (new)') });
    expect(existsSync(desk.signing)).toBe(false);
  });

  it('refuses a folder that is a repository', async () => {
    await desk.init();
    const grant = ['--grant-key', desk.path('grant.pem')];
    const again = await desk.run('root', 'init', desk.repository, ...grant, ...keys(), ...THRESHOLDS);
    expect(again).toMatchObject({ status: 73, stderr: expect.stringContaining('is a repository already') });
  });
});

describe('a repository that waits for its first signatures', () => {
  it.each([
    [['verify'], []],
    [['root', 'show'], []],
    [['refresh'], []],
    [['publish'], ['--socket', 'none']],
  ])('is none yet for %j, which says what it waits for', async (command, options) => {
    if (!existsSync(desk.signing)) await desk.propose();
    expect(await desk.run(...command, desk.signing, ...options)).toMatchObject({
      status: 66,
      stderr: expect.stringMatching(/root-1\.json waits for signatures.*\(repository-unsigned\)/),
    });
  });

  it('is the only one whose proposal is signed with --new-repository', async () => {
    if (!existsSync(desk.repository)) await desk.init();
    const key = ['--role', 'root', '--key', desk.publicFile('alice'), '--threshold', '2'];
    const added = await desk.run('root', 'add-key', desk.repository, ...key, ...desk.secret());
    expect(added).toMatchObject({ status: 79 });
    const file = join(desk.repository, 'pending', 'root-2.json');
    const signed = await desk.run('sign', file, '--new-repository', '--key', desk.privateFile('alice'));
    expect(signed).toMatchObject({ status: 64, stderr: expect.stringContaining('is there already') });
  });
});
