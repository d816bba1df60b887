import { experienceOf, type HealthRules, type NodeHistory, type NodeRelease } from './node-releases.ts';
import { EMPTY_TALLY, isInCohort, type Rollout, type RolloutTally } from './rollout.ts';

/**
 * Counts how these nodes stand with a rollout: those that joined it, and those whose turn it is. Who is pinned to
 * another release has no turn.
 *
 * @param on departed: nodes that joined it and are gone before they were healthy; answersSinceSeconds: before this nobody
 *   could come back, so nobody was lost by not doing it
 */
export function tallyOf(
  rollout: Rollout,
  on: {
    histories: Iterable<NodeHistory>;
    departed: number;
    health: HealthRules;
    answersSinceSeconds?: number;
    nowSeconds: number;
  },
): RolloutTally {
  let tally = { ...EMPTY_TALLY, failed: on.departed };
  for (const history of on.histories) {
    const isPinnedAway = history.pin !== undefined && history.pin !== rollout.releaseDigest;
    if (!isPinnedAway && isInCohort(rollout, history)) tally = { ...tally, cohort: tally.cohort + 1 };
    const record = history.releases.get(rollout.releaseDigest);
    if (record?.rolloutId === rollout.id) tally = countRecord(tally, record, on);
  }
  return tally;
}

function countRecord(
  tally: RolloutTally,
  record: NodeRelease,
  on: { health: HealthRules; answersSinceSeconds?: number; nowSeconds: number },
): RolloutTally {
  const { health } = on;
  switch (experienceOf(record, health)) {
    case 'healthy':
      return { ...tally, healthy: tally.healthy + 1 };
    case 'failed':
      return { ...tally, failed: tally.failed + 1 };
    case 'trying':
      return countTrying(tally, record, on);
  }
}

function countTrying(
  tally: RolloutTally,
  { lastBoot, lastFailure }: NodeRelease,
  {
    health,
    answersSinceSeconds = 0,
    nowSeconds,
  }: { health: HealthRules; answersSinceSeconds?: number; nowSeconds: number },
): RolloutTally {
  if (lastBoot.outcome === 'open') return { ...tally, open: tally.open + 1 };
  const awaitedSinceSeconds = Math.max(lastFailure?.atSeconds ?? 0, answersSinceSeconds);
  const isLost =
    lastBoot.outcome === 'failed' && awaitedSinceSeconds + health.healthWindowSeconds <= nowSeconds;
  return { ...tally, away: tally.away + 1, lost: tally.lost + (isLost ? 1 : 0) };
}
