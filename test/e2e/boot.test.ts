import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cleanup, createCleanup } from '../../lab/cleanup.ts';
import { artifactAttacks } from '../../lab/demo/artifact-attacks.ts';
import { firstBoot, secondBoot } from '../../lab/demo/boots.ts';
import { evidenceAttacks } from '../../lab/demo/evidence-attacks.ts';
import { firmwareChange } from '../../lab/demo/firmware-change.ts';
import { readVerdicts } from '../../lab/demo/server-records.ts';
import { setUpStage } from '../../lab/demo/stage.ts';
import { stage0Attacks } from '../../lab/demo/stage0-attacks.ts';
import type { Check, Stage, Step } from '../../lab/demo/step.ts';
import { thresholdRelease } from '../../lab/demo/threshold-release.ts';
import { verifyEvidenceDocument } from '../../src/attestation/evidence/evidence-file.ts';

// Real firmware, real TPM, real kernel: the steps of the demo, one after the other on one server. A test
// needs the ones before it.

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
  });
});

afterAll(async () => {
  await stage?.world.server().stop();
  cleanup.close();
  await rm(folder, { recursive: true, force: true });
});

async function run(step: Step): Promise<Check[]> {
  checks = [];
  await step.run(stage);
  return checks;
}

function expectAllProven(proven: readonly Check[], atLeast: number): void {
  expect(proven.filter(({ ok }) => !ok)).toEqual([]);
  expect(proven.length).toBeGreaterThanOrEqual(atLeast);
}

test('P1 a new machine enrols itself and runs the release, and its root gets no second grant', async () => {
  expectAllProven(await run(firstBoot), 4);
});

test('the same machine boots again without enrolling, a second machine joins beside it', async () => {
  expectAllProven(await run(secondBoot), 5);
});

test('firmware refuses an altered stage-0, the server one that is signed but not listed', async () => {
  expectAllProven(await run(stage0Attacks), 3);
});

test('D24 a node refuses an altered artifact by its hash, D7 the server does not send one', async () => {
  expectAllProven(await run(artifactAttacks), 2);
});

test("a boot's evidence is good for no second boot and for no other machine", async () => {
  expectAllProven(await run(evidenceAttacks), 2);
});

test('another signer in db holds a node until an operator approves, then it boots by itself', async () => {
  expectAllProven(await run(firmwareChange), 2);
});

test('S1 S3 a release needs two of three, by keys in HSMs too, and a node with root 1 follows to root 3', async () => {
  expectAllProven(await run(thresholdRelease), 7);
});

test('evidence that the server kept decides alike offline', async () => {
  const kept = await readVerdicts(stage.world);
  const decided = new Set<string>();
  for (const { id, verdict } of kept) {
    const document = await stage.world.admin('verdicts', 'export', String(id)).catch(() => undefined);
    if (document === undefined) continue;
    expect(verifyEvidenceDocument(document.trim()).verdict).toBe(verdict);
    decided.add(verdict);
  }
  expect(decided).toEqual(new Set(['accept', 'refuse', 'hold']));
});
