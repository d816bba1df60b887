import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { SigningDesk } from './boot-sign-fixture.ts';
import { MOST_CHANGES, runAndDie } from './run-and-die.ts';

// boot-sign in a process of its own, killed before each change that it makes in the folder, one run for each.

let desk: SigningDesk;

beforeAll(async () => {
  desk = new SigningDesk();
  // The child goes by the real clock.
  desk.nowMs = Date.now();
  expect(await desk.init()).toMatchObject({ status: 0 });
  cpSync(desk.repository, desk.path('new'), { recursive: true });
});

beforeEach(restore);

afterAll(() => desk.close());

function restore(): void {
  rmSync(desk.repository, { recursive: true });
  cpSync(desk.path('new'), desk.repository, { recursive: true });
}

const secret = () => ['--passphrase-file', desk.path('passphrase')];

const release = (): string[] => [
  ...[
    'release',
    desk.repository,
    '--channel',
    'demo',
    '--version',
    '1',
    '--name',
    'one',
    '--cmdline',
    'quiet',
  ],
  ...['--kernel', desk.path('kernel'), '--initramfs', desk.path('initramfs')],
];

async function listedReleases(): Promise<number> {
  const { status, stdout, stderr } = await desk.run('verify', desk.repository, '-o', 'json');
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout).releases.length;
}

test('a release that is killed at any change is listed or not, whole, and can be done again', async () => {
  const outcomes: number[] = [];
  for (let dieAt = 1; dieAt <= MOST_CHANGES; dieAt += 1) {
    restore();
    const { status, died } = runAndDie(dieAt, [...release(), ...secret()]);
    if (!died) {
      expect(status).toBe(0);
      break;
    }
    const listed = await listedReleases();
    outcomes.push(listed);
    const again = await desk.sign(...(release().filter((arg) => arg !== desk.repository) as [string]));
    expect(again.status).toBe(listed === 0 ? 0 : 65);
    expect(await listedReleases()).toBe(1);
  }
  // First not there, from one moment on there, and never not again.
  expect(outcomes).toEqual([...outcomes].sort());
  expect(new Set(outcomes)).toEqual(new Set([0, 1]));
  expect(outcomes.length).toBeGreaterThan(8);
}, 60_000);

test('online keys that are exchanged by a killed boot-sign are exchanged or not, never half', async () => {
  const key = join(desk.path('new'), 'keys', 'online.json');
  expect((await desk.run('new-key', key, '--key-cost', '12', ...secret())).status).toBe(0);
  const shown = await desk.run('root', 'show', desk.path('new'), '-o', 'json');
  const old = JSON.parse(shown.stdout).roles.find(({ role }: { role: string }) => role === 'timestamp')
    .keys[0];
  const rotate = ['root', 'rotate', desk.repository, '--key-id', old.keyId];
  const versions: number[] = [];
  for (let dieAt = 1; dieAt <= MOST_CHANGES; dieAt += 1) {
    restore();
    const { died } = runAndDie(dieAt, [
      ...rotate,
      ...['--key', key.replace('.json', '.pub.json')],
      ...secret(),
    ]);
    const { stdout } = await desk.run('root', 'verify', desk.repository, '-o', 'json');
    versions.push(JSON.parse(stdout).versions.length);
    await listedReleases();
    expect((await desk.sign('refresh')).status).toBe(0);
    if (!died) break;
  }
  expect(versions).toEqual([...versions].sort());
  expect(new Set(versions)).toEqual(new Set([1, 2]));
}, 60_000);
