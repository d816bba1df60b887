import type { JsonObject } from '../../src/core/strict-json.ts';
import type { Stage, Step } from '../demo/step.ts';
import { RELEASE_NAME, signRelease } from '../world.ts';
import { bootUntilOff, checkHealthyBoot } from './boots.ts';
import { EDGE } from './first-boots.ts';
import { showRollout, startRollout, waitForRollout } from './operator.ts';
import { SECOND } from './second-release.ts';

const PANICS = 'release 3, which panics';
const UNWELL = 'release 4, which is unwell';

/** Nobody touches either machine: each is powered on once, and ends with the release that works. */
export const badReleases: Step = {
  title: 'release 3 panics, release 4 boots and finds itself unwell: both machines fall back by themselves',
  async run(stage) {
    const { world } = stage;
    // Slots first: a channel that follows the newest would give it to everybody as soon as it is published.
    await world.admin('channels', 'health', EDGE, '--tries', '2', '--window', '600');
    await signRelease(world, { version: 3, name: PANICS, plays: 'panic' });
    await signRelease(world, { version: 4, name: UNWELL, channel: EDGE, plays: 'unhealthy' });
    await world.publish();
    await startRollout(stage, 'demo', 3);
    await startRollout(stage, EDGE, 4);
    const { first, second } = stage.tpms;
    await Promise.all([
      fallBack(stage, { name: 'machine-1', tpm: first, channel: 'demo', bad: PANICS, good: SECOND }),
      fallBack(stage, { name: 'machine-2', tpm: second, channel: EDGE, bad: UNWELL, good: RELEASE_NAME }),
    ]);
  },
};

async function fallBack(
  stage: Stage,
  on: { name: string; tpm: Stage['tpms']['first']; channel: string; bad: string; good: string },
): Promise<void> {
  const { name, tpm, channel, bad, good } = on;
  const seen = await bootUntilOff(stage, { name, tpm, allowReboot: true });
  stage.check({
    claim: `R10 ${name} tries ${bad.split(',')[0]} twice and falls back, with nobody near it`,
    ok: seen.releases.join('|') === [bad, bad, good].join('|'),
    observed: seen.releases.join(', then '),
  });
  checkHealthyBoot(stage, { name, release: good, seen });
  const status = await waitForRollout(stage.world, channel, 'halted');
  await showRollout(stage, channel);
  stage.check({
    claim: `the rollout in ${channel} halts and says why`,
    ok: /1 node gave it up and fell back/.test(String(status.reason)),
    observed: String(status.reason),
  });
  const said = lastWords(status);
  stage.check({
    claim: `the operator sees what ${name} said last`,
    ok: said !== '',
    observed: said === '' ? 'nothing' : said,
  });
}

function lastWords({ nodes }: JsonObject): string {
  const [node] = (Array.isArray(nodes) ? nodes : []) as { report?: { text?: string } | null }[];
  return node?.report?.text?.trimEnd().split('\n').at(-1) ?? '';
}
