import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { type FloorRecord, parseFloorRecord } from '../../src/attestation/floor/floor-record.ts';
import type { Stage, Step } from '../demo/step.ts';
import { startTpmForTools } from '../software-tpm.ts';
import { bootUntilOff, checkHealthyBoot } from './boots.ts';
import { SECOND } from './second-release.ts';

const run = promisify(execFile);
const BOOT_SECONDS = 300;
const INDEX = '0x0180b007';

/** A marker of the agent, and what the machine is about to do right after it. */
const CUTS = [
  { before: 'its evidence', marker: /step=challenge/ },
  { before: 'the end of its download', marker: /step=manifest/ },
  { before: 'it locks what it has written', marker: /step=floor-written/ },
  { before: 'it extends PCR 14', marker: /step=floor state=raised/ },
  { before: 'the release takes over', marker: /step=handover/ },
] as const;

/** Each time there is newer metadata, so that each boot has a record to raise. */
export const powerCuts: Step = {
  title: 'the power is cut five times in a boot, at the worst moments; the next boot is whole each time',
  async run(stage) {
    const { world, tpms } = stage;
    await world.admin('rollout', 'abort', 'demo');
    await world.admin('channels', 'health', 'demo', '--tries', '20', '--window', '600');
    for (const cut of CUTS) await cutPower(stage, cut);
    const seen = await bootUntilOff(stage, { name: 'machine-1', tpm: tpms.first });
    checkHealthyBoot(stage, { name: 'machine-1', release: SECOND, seen });
  },
};

async function cutPower(stage: Stage, { before, marker }: (typeof CUTS)[number]): Promise<void> {
  const { world, tpms } = stage;
  await world.sign('refresh');
  await world.publish();
  const old = await readRecord(stage);
  const machine = await world.startMachine({ name: 'machine-1', tpm: tpms.first });
  const line = await machine.waitFor(marker, BOOT_SECONDS);
  await machine.powerOff();
  stage.say('machine-1', `power cut before ${before}`, line.seconds);
  const found = await readRecord(stage);
  const isOld = JSON.stringify(found) === JSON.stringify(old);
  const isNewer = found.snapshot > old.snapshot && found.root >= old.root && found.channel >= old.channel;
  stage.check({
    claim: `cut before ${before}: the record is whole, old or new`,
    ok: isOld || isNewer,
    observed: `${isOld ? 'old' : 'new'}: snapshot ${found.snapshot}, channel ${found.channel}`,
  });
}

async function readRecord({ tpms, cleanup }: Stage): Promise<FloorRecord> {
  const folder = cleanup.createFolder('floor');
  const tpm = await startTpmForTools(tpms.first, folder, cleanup);
  try {
    const { stdout } = await run('tpm2_nvread', ['-C', INDEX, '-s', '64', INDEX], {
      env: { ...process.env, TPM2TOOLS_TCTI: tpm.tcti },
      encoding: 'buffer',
    });
    return parseFloorRecord(stdout);
  } finally {
    await tpm.stop();
  }
}
