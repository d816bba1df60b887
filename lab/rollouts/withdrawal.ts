import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Stage, Step } from '../demo/step.ts';
import { watchUntilOff } from '../demo/watch-boot.ts';
import { openHostileAgentsDoor } from '../hostile/agents-door.ts';
import { stealServer } from '../hostile/stolen-server.ts';
import { bootUntilOff, checkHealthyBoot, lastStep, watched } from './boots.ts';
import { ask } from './operator.ts';
import { SECOND } from './second-release.ts';

/**
 * What was withdrawn never boots again on a machine that has seen the withdrawal: not from a server that was taken
 * over, with everything that it ever served, and not from an honest one whose records were set back.
 */
export const withdrawal: Step = {
  title:
    'release 1 is withdrawn; a server that offers it again, with the old metadata, is refused by the node',
  async run(stage) {
    const { world, tpms, published } = stage;
    const before = await stealServer(world, published.release);
    const backup = join(world.folder, 'server-before');
    await world.server().stop();
    await cp(world.dataDir, backup, { recursive: true });
    await world.startServer();
    await world.sign('withdraw', '--channel', 'demo', '--version', '1');
    await world.publish();
    const seen = await bootUntilOff(stage, { name: 'machine-1', tpm: tpms.first });
    checkHealthyBoot(stage, { name: 'machine-1', release: SECOND, seen });
    stage.say('machine-1', `its floor now: ${lastStep(seen, 'floor')}`);
    await refuseOldMetadata(stage, before);
    await refuseOldRecords(stage, backup);
  },
};

async function refuseOldMetadata(
  stage: Stage,
  before: Awaited<ReturnType<typeof stealServer>>,
): Promise<void> {
  const { world, tpms } = stage;
  await world.server().stop();
  const hostile = await openHostileAgentsDoor(before);
  const { port } = await stage.openFirmwareDoor();
  const machine = await world.startMachine({ name: 'machine-1', tpm: tpms.first, port });
  const seen = watched(await watchUntilOff(stage, machine));
  await hostile.close();
  const stop = lastStep(seen, 'stop');
  stage.check({
    claim: 'R1 the node itself refuses metadata from before the withdrawal: metadata-rollback',
    ok: /^stop code=metadata-rollback/.test(stop) && seen.releases.length === 0,
    observed: stop,
  });
}

/** The data folder as it was, in place of the one that is: an old backup, restored by hand. */
async function refuseOldRecords(stage: Stage, backup: string): Promise<void> {
  const { world, tpms } = stage;
  const now = join(world.folder, 'server-now');
  await cp(world.dataDir, now, { recursive: true });
  await replaceFolder(world.dataDir, backup);
  await world.startServer();
  const machine = await world.startMachine({ name: 'machine-1', tpm: tpms.first });
  const held = await machine.waitFor(/step=reason code=floor-ahead/, 300).catch(() => undefined);
  await machine.powerOff();
  const status = await ask(world, 'status').catch(() => ({}));
  await world.server().stop();
  await replaceFolder(world.dataDir, now);
  await world.startServer();
  stage.check({
    claim: 'R4 a server whose records were all set back sees that the node has seen more: floor-ahead',
    ok: held !== undefined,
    observed: held?.text.replace(/^.*step=/, '') ?? `it was not held; status ${JSON.stringify(status)}`,
  });
}

async function replaceFolder(folder: string, by: string): Promise<void> {
  await rm(folder, { recursive: true, force: true });
  await cp(by, folder, { recursive: true });
}
