import { experienceOf, type HealthRules, type NodeHistory, type NodeRelease } from './node-releases.ts';
import { EMPTY_TALLY, isInCohort, type Rollout, type RolloutTally } from './rollout.ts';

/** Counts how these nodes stand with a rollout: those that joined it, and those whose turn it is. */
export function tallyOf(
  rollout: Rollout,
  on: { histories: Iterable<NodeHistory>; health: HealthRules; nowSeconds: number },
): RolloutTally {
  let tally = EMPTY_TALLY;
  for (const history of on.histories) {
    const record = history.releases.get(rollout.releaseDigest);
    if (isInCohort(rollout, history)) tally = { ...tally, cohort: tally.cohort + 1 };
    if (record?.rolloutId === rollout.id) tally = countRecord(tally, record, on);
  }
  return tally;
}

function countRecord(
  tally: RolloutTally,
  record: NodeRelease,
  { health, nowSeconds }: { health: HealthRules; nowSeconds: number },
): RolloutTally {
  switch (experienceOf(record, health)) {
    case 'healthy':
      return {
        ...tally,
        healthy: tally.healthy + 1,
        lastHealthyAtSeconds: Math.max(tally.lastHealthyAtSeconds ?? 0, record.healthyAtSeconds ?? 0),
      };
    case 'failed':
      return { ...tally, failed: tally.failed + 1 };
    case 'trying': {
      if (record.lastBoot.outcome !== 'failed') return { ...tally, open: tally.open + 1 };
      const failedAt = record.lastFailure?.atSeconds ?? 0;
      const isLost = failedAt + health.healthWindowSeconds <= nowSeconds;
      return { ...tally, away: tally.away + 1, lost: tally.lost + (isLost ? 1 : 0) };
    }
  }
}
