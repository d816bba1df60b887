import type { setUpStage } from '../demo/stage.ts';
import type { Step } from '../demo/step.ts';
import { CHANNEL } from '../world.ts';
import { badReleases } from './bad-releases.ts';
import { EDGE, firstBoots } from './first-boots.ts';
import { powerCuts } from './power-cuts.ts';
import { secondRelease } from './second-release.ts';
import { withdrawal } from './withdrawal.ts';

/** Updates that cannot go wrong twice: two machines in two channels, side by side where that is possible. */
export const ROLLOUT_STEPS: readonly Step[] = [firstBoots, secondRelease, withdrawal, badReleases, powerCuts];

export const ROLLOUT_RELEASES: NonNullable<Parameters<typeof setUpStage>[0]['releases']> = {
  channels: [CHANNEL, EDGE],
  plays: 'healthy',
};
