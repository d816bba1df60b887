import { cpSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FirstRootDesk, THRESHOLDS } from './first-root-fixture.ts';
import { MOST_CHANGES, runAndDie } from './run-and-die.ts';

// The ceremony's two commands that write a folder, killed before each change that they make in it.

let desk: FirstRootDesk;

beforeAll(async () => {
  desk = await FirstRootDesk.create();
  // The child goes by the real clock.
  desk.nowMs = Date.now();
});
afterAll(() => desk.close());

test('a first root whose proposing is killed waits for signatures or not, and can be proposed', async () => {
  const args = ['--grant-key', desk.path('grant.pem'), ...desk.keyOptions(), ...THRESHOLDS];
  const outcomes: number[] = [];
  for (let dieAt = 1; dieAt <= MOST_CHANGES; dieAt += 1) {
    rmSync(desk.signing, { recursive: true, force: true });
    const { status, died } = runAndDie(dieAt, ['root', 'init', desk.signing, ...args]);
    if (!died) {
      expect(status).toBe(79);
      break;
    }
    const again = await desk.propose();
    outcomes.push(again.status);
    expect(await desk.run('pending', 'list', desk.signing)).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/^root-1\n/),
    });
  }
  // Proposed by the second one, and from one moment on there from the first.
  expect(outcomes).toEqual([...outcomes].sort().reverse());
  expect(new Set(outcomes)).toEqual(new Set([73, 79]));
}, 60_000);

test('a first root whose last merge is killed is in force whole, or waits with all that was merged', async () => {
  rmSync(desk.signing, { recursive: true, force: true });
  await desk.propose();
  const files = [
    await desk.signedBy('alice'),
    await desk.signedBy('dave', 'dave/stage0'),
    await desk.signedBy('erin', 'erin/release'),
  ];
  const before = desk.path('before');
  cpSync(desk.signing, before, { recursive: true });
  const online = ['--sign-with', desk.privateFile('service/online'), ...desk.secret()];
  const from = files.flatMap((file) => ['--from', file]);
  const outcomes: number[] = [];
  for (let dieAt = 1; dieAt <= MOST_CHANGES; dieAt += 1) {
    rmSync(desk.signing, { recursive: true });
    cpSync(before, desk.signing, { recursive: true });
    const { died } = runAndDie(dieAt, ['merge', desk.signing, '--name', 'root-1', ...from, ...online]);
    if (!died) break;
    const { status } = await desk.run('verify', desk.signing);
    outcomes.push(status);
    if (status !== 0) expect(await desk.merge(desk.signing, files, ...online)).toMatchObject({ status: 0 });
    expect(await desk.run('verify', desk.signing)).toMatchObject({ status: 0 });
  }
  expect(outcomes).toEqual([...outcomes].sort().reverse());
  expect(new Set(outcomes)).toEqual(new Set([0, 66]));
}, 60_000);
