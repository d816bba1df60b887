import type { Step } from '../demo/step.ts';
import { RELEASE_NAME } from '../world.ts';
import { bootUntilOff, checkHealthyBoot, lastStep } from './boots.ts';
import { ask } from './operator.ts';

export const EDGE = 'edge';

/** Two machines of two channels; each begins its floor. */
export const firstBoots: Step = {
  title: 'release 1: two new machines boot it, begin their floors, and say that they are healthy',
  async run(stage) {
    const { world, tpms } = stage;
    await world.admin('ek', 'import', tpms.first.ekCertificateFile, '--channel', 'demo');
    await world.admin('ek', 'import', tpms.second.ekCertificateFile, '--channel', EDGE);
    const setups = [
      { name: 'machine-1', tpm: tpms.first },
      { name: 'machine-2', tpm: tpms.second },
    ];
    const boots = await Promise.all(setups.map((setup) => bootUntilOff(stage, setup)));
    for (const [index, seen] of boots.entries()) {
      const name = `machine-${index + 1}`;
      checkHealthyBoot(stage, { name, release: RELEASE_NAME, seen });
      const floor = lastStep(seen, 'floor');
      stage.check({
        claim: `${name} begins its floor: the versions of all metadata that it has verified`,
        ok: /^floor state=raised root=1 targets=\d+ snapshot=\d+ channel=\d+ signed-at=[1-9]\d+/.test(floor),
        observed: floor,
      });
    }
    const demo = await ask(world, 'channels', 'show', 'demo');
    stage.say('boot-admin', `channel demo ${String(demo.mode)}s the newest release`);
  },
};
