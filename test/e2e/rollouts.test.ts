import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cleanup, createCleanup } from '../../lab/cleanup.ts';
import { setUpStage } from '../../lab/demo/stage.ts';
import type { Check, Stage, Step } from '../../lab/demo/step.ts';
import { badReleases } from '../../lab/rollouts/bad-releases.ts';
import { firstBoots } from '../../lab/rollouts/first-boots.ts';
import { powerCuts } from '../../lab/rollouts/power-cuts.ts';
import { secondRelease } from '../../lab/rollouts/second-release.ts';
import { ROLLOUT_RELEASES } from '../../lab/rollouts/story.ts';
import { withdrawal } from '../../lab/rollouts/withdrawal.ts';

// Slots, rollouts and the floor on real firmware: two machines, one server. A test needs the ones before it.

let folder: string;
let cleanup: Cleanup;
let stage: Stage;
let checks: Check[] = [];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootward-e2e-'));
  cleanup = createCleanup();
  stage = await setUpStage({
    folder,
    cleanup,
    say: () => {},
    check: (check) => checks.push(check),
    timing: () => {},
    releases: ROLLOUT_RELEASES,
  });
});

afterAll(async () => {
  await stage?.world.server().stop();
  cleanup.close();
  await rm(folder, { recursive: true, force: true });
});

async function expectProven(step: Step, atLeast: number): Promise<void> {
  checks = [];
  await step.run(stage);
  expect(checks.filter(({ ok }) => !ok)).toEqual([]);
  expect(checks.length).toBeGreaterThanOrEqual(atLeast);
}

test('two machines begin their floors and say that they are healthy', async () => {
  await expectProven(firstBoots, 6);
});

test('P8 release 2 rolls out; root of the running system cannot write its floor, and is held for deleting it', async () => {
  await expectProven(secondRelease, 8);
});

test('R1 R4 what was withdrawn is refused by the node itself, whatever the server serves', async () => {
  await expectProven(withdrawal, 4);
});

test('R10 machines fall back unattended from a release that panics and from one that is unwell', async () => {
  await expectProven(badReleases, 8);
});

test('a power cut at the worst moments leaves old or new, whole', async () => {
  await expectProven(powerCuts, 7);
});
