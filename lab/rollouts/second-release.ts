import type { JsonObject } from '../../src/core/strict-json.ts';
import { isJsonObject } from '../../src/core/strict-json.ts';
import { readNodes, readVerdicts } from '../demo/server-records.ts';
import type { Stage, Step } from '../demo/step.ts';
import { loadAttackersTools } from '../hostile/attackers-tools.ts';
import { signRelease } from '../world.ts';
import { bootUntilOff, checkHealthyBoot, says } from './boots.ts';
import { EDGE } from './first-boots.ts';
import { showRollout, startRollout, waitForRollout } from './operator.ts';

export const SECOND = 'release 2';

/** Side by side: a rollout that goes well, and root of another machine against its own floor. */
export const secondRelease: Step = {
  title: 'release 2 rolls out in one channel; in the other, root of the running system attacks its own floor',
  async run(stage) {
    const { world } = stage;
    await world.admin('channels', 'health', 'demo', '--tries', '2', '--window', '600');
    await signRelease(world, { version: 2, name: SECOND, plays: 'healthy' });
    const files = await loadAttackersTools(world);
    await signRelease(world, {
      version: 2,
      name: 'an attacker',
      channel: EDGE,
      plays: 'floor-attack',
      files,
    });
    await world.publish();
    await startRollout(stage, 'demo', 2);
    await Promise.all([rollOut(stage), attackFloor(stage)]);
  },
};

async function rollOut(stage: Stage): Promise<void> {
  const { world, tpms } = stage;
  const seen = await bootUntilOff(stage, { name: 'machine-1', tpm: tpms.first });
  checkHealthyBoot(stage, { name: 'machine-1', release: SECOND, seen });
  const status = await waitForRollout(world, 'demo', 'completed');
  await showRollout(stage, 'demo');
  stage.check({
    claim: 'the rollout completes by itself, and release 2 is active',
    ok: status.version === 2 && healthyIn(status) === 1,
    observed: `version ${String(status.version)} ${String(status.state)}, ${healthyIn(status)} healthy`,
  });
}

function healthyIn({ tally }: JsonObject): number {
  return tally !== undefined && isJsonObject(tally) ? Number(tally.healthy) : 0;
}

/** It can delete its record, and it is held for that; it can do nothing else. */
async function attackFloor(stage: Stage): Promise<void> {
  const { world, tpms } = stage;
  const seen = await bootUntilOff(stage, { name: 'machine-2', tpm: tpms.second });
  for (const [what, claim] of ATTACKS) {
    const line = says(seen, new RegExp(`BOOTWARD-DEMO floor attack: ${what}: `)) ?? `${what}: it did not try`;
    stage.check({
      claim,
      ok: /: refused, /.test(line),
      observed: line.replace(/^.*BOOTWARD-DEMO /, ''),
    });
  }
  const again = await world.startMachine({ name: 'machine-2', tpm: tpms.second });
  const held = await again.waitFor(/step=reason code=floor-missing/, 300).catch(() => undefined);
  await again.powerOff();
  const [verdict] = (await readVerdicts(world)).filter(({ verdict: kind }) => kind === 'hold');
  stage.check({
    claim: 'P8 its next boot, without the record that it had, is held: floor-missing',
    ok: held !== undefined && /^floor-missing: /.test(verdict?.reasons ?? ''),
    observed: verdict?.reasons ?? 'it was not held',
  });
  await withdrawAttacker(stage);
}

const ATTACKS = [
  ['owner write', 'P8 root cannot write the record with the authorization of the owner'],
  [
    'policy write',
    "P8 root cannot write the record with stage-0's own approval: PCR 14 is not zero any more",
  ],
  ['second grant', 'P1 root gets no second grant'],
  ['health without record', 'P8 root deletes the record and makes another: health evidence is held'],
] as const;

/** The operator has looked at the machine: its next record is a new one. */
async function withdrawAttacker({ world }: Stage): Promise<void> {
  const node = (await readNodes(world)).find(({ channel }) => channel === EDGE);
  await world.admin('nodes', 'reset-floor', String(node?.id), '--reason', 'the lab played an attacker');
  await world.sign('withdraw', '--channel', EDGE, '--version', '2');
  await world.publish();
}
