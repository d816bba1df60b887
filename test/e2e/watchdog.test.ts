import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Cleanup, createCleanup } from '../../lab/cleanup.ts';
import type { SoftwareTpm } from '../../lab/software-tpm.ts';
import {
  acceptManufacturer,
  CHANNEL,
  createWorld,
  publishFirstRelease,
  signStage0,
  type World,
} from '../../lab/world.ts';

// A release that hangs, on a machine with a watchdog (an i6300esb) that its stage-0 armed.

const WATCHDOG_SECONDS = 60;

let cleanup: Cleanup;
let world: World;
let tpm: SoftwareTpm;

beforeAll(async () => {
  cleanup = createCleanup();
  world = await createWorld(cleanup.createFolder('watchdog'), cleanup);
  tpm = await world.createTpm('machine');
  await acceptManufacturer(world);
  await world.startServer();
  await publishFirstRelease(world, { plays: 'hang' });
  await signStage0(world, { build: 2, watchdogSeconds: WATCHDOG_SECONDS });
  await world.publish();
});

afterAll(async () => {
  await world?.server().stop();
  cleanup.close();
});

test('R10 a release that hangs is reset by the watchdog that stage-0 armed, and its machine asks again', async () => {
  await world.admin('ek', 'import', tpm.ekCertificateFile, '--channel', CHANNEL);
  const machine = await world.startMachine({ name: 'machine', tpm, allowReboot: true, watchdog: true });
  await machine.waitFor(new RegExp(`step=watchdog seconds=${WATCHDOG_SECONDS}\\b`), 240);
  await machine.waitFor(/step=handover\b/, 240);
  await machine.waitFor(/BOOTWARD-DEMO hangs/, 120);
  const before = machine.lines().length;
  const seenSince = () =>
    machine
      .lines()
      .slice(before)
      .map(({ text }) => text)
      .join('\n');
  await expect.poll(seenSince, { timeout: 300_000, interval: 500 }).toContain('step=stage0-up');
  await expect.poll(seenSince, { timeout: 120_000, interval: 500 }).toContain('step=verdict verdict=accept');
  await machine.powerOff();
});
