import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from '../cleanup.ts';
import { openHostileFirmwareDoor } from '../hostile/firmware-door.ts';
import { acceptManufacturer, createWorld, publishFirstRelease } from '../world.ts';
import { artifactAttacks } from './artifact-attacks.ts';
import { firstBoot, secondBoot } from './boots.ts';
import { evidenceAttacks } from './evidence-attacks.ts';
import { firmwareChange } from './firmware-change.ts';
import { stage0Attacks } from './stage0-attacks.ts';
import type { Stage, Step } from './step.ts';
import { thresholdRelease } from './threshold-release.ts';

/** In the order of the demo; `--quick` is the first one alone. */
export const STEPS: readonly Step[] = [
  firstBoot,
  secondBoot,
  stage0Attacks,
  artifactAttacks,
  evidenceAttacks,
  firmwareChange,
  thresholdRelease,
];

/** Everything up to the first power-on: chips, server, keys, a published release. */
export async function setUpStage(on: {
  folder: string;
  cleanup: Cleanup;
  say: Stage['say'];
  check: Stage['check'];
  timing: Stage['timing'];
  /** What there is besides the demo's one channel, and what the first releases play. */
  releases?: Parameters<typeof publishFirstRelease>[1];
}): Promise<Stage> {
  const { folder, cleanup, say, check, timing, releases } = on;
  const world = await createWorld(folder, cleanup);
  const tpms = { first: await world.createTpm('first'), second: await world.createTpm('second') };
  await acceptManufacturer(world);
  await world.startServer();
  const published = await publishFirstRelease(world, releases);
  return {
    world,
    published,
    tpms,
    cleanup,
    say,
    check,
    timing,
    async openFirmwareDoor() {
      const image = await readFile(join(world.repository, 'artifacts', published.stage0.sha256));
      return openHostileFirmwareDoor({ dataDir: world.dataDir, image }, cleanup);
    },
  };
}
