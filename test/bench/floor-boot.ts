import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createCleanup } from '../../lab/cleanup.ts';
import type { SoftwareTpm } from '../../lab/software-tpm.ts';
import {
  acceptManufacturer,
  createWorld,
  publishFirstRelease,
  signStage0,
  type World,
} from '../../lab/world.ts';
import { cpuSecondsOf, type Measurement, median, spreadOf } from './bench-process.ts';

const ROUNDS = 4;
const BOOT_SECONDS = 300;

interface Boot {
  /** CPU of the emulated machine from the agent's start to the hand-over. */
  seconds: number;
  /** The same from power-on until stage-0 is up, which no floor is part of: how fast this machine emulates just now. */
  yardstick: number;
}

/**
 * What the floor costs a boot under emulation: machines that keep one beside machines whose stage-0 has no floor key, in
 * turn. Eight minutes.
 */
export async function benchFloorBoot(): Promise<Measurement[]> {
  const cleanup = createCleanup();
  try {
    const keeping = await openWorld(true);
    const plain = await openWorld(false);
    const boots: { keeping: Boot[]; plain: Boot[] } = { keeping: [], plain: [] };
    await keeping.boot();
    await plain.boot();
    for (let round = 0; round < ROUNDS; round += 1) {
      boots.keeping.push(await keeping.boot());
      boots.plain.push(await plain.boot());
    }
    const yardstick = median([...boots.keeping, ...boots.plain].map((boot) => boot.yardstick));
    const scaled = (each: readonly Boot[]) => each.map((boot) => (boot.seconds * yardstick) / boot.yardstick);
    const [withFloor, without] = [scaled(boots.keeping), scaled(boots.plain)];
    return [
      {
        name: 'from agent to hand-over with a floor that is kept, CPU s',
        value: spreadOf(withFloor),
        aim: '',
      },
      { name: 'without', value: spreadOf(without), aim: '' },
      { name: 'added, s', value: (median(withFloor) - median(without)).toFixed(2), aim: '≤ 1.0' },
    ];
  } finally {
    cleanup.close();
  }

  async function openWorld(keepsFloor: boolean): Promise<{ boot(): Promise<Boot> }> {
    const world = await createWorld(cleanup.createFolder(keepsFloor ? 'floor' : 'plain'), cleanup);
    const tpm = await world.createTpm('machine');
    await acceptManufacturer(world);
    await world.startServer();
    await publishFirstRelease(world, { plays: 'off' });
    if (!keepsFloor) {
      await rm(join(world.repository, 'keys', 'floor.json'));
      await signStage0(world, { build: 2 });
      await world.publish();
    }
    await world.admin('ek', 'import', tpm.ekCertificateFile, '--channel', 'demo');
    return { boot: () => bootOnce(world, tpm) };
  }
}

async function bootOnce(world: World, tpm: SoftwareTpm): Promise<Boot> {
  const machine = await world.startMachine({ name: 'machine', tpm });
  const cpuAt = async (step: string) => {
    await machine.waitFor(new RegExp(`step=${step}\\b`), BOOT_SECONDS);
    return cpuSecondsOf(machine);
  };
  const yardstick = await cpuAt('stage0-up');
  const start = await cpuAt('start');
  const seconds = (await cpuAt('handover')) - start;
  await machine.powerOff();
  return { seconds, yardstick };
}

if (import.meta.main) console.table(await benchFloorBoot());
