/** One power cycle of a TPM (Part 1, section 36): what tells one boot of a diskless node from the next. */
export interface PowerCycle {
  readonly resetCount: number;
  readonly restartCount: number;
}

export type FailureKind =
  /** It came back for another boot. */
  | 'came-back'
  /** Its health window passed. */
  | 'silent'
  /** Its own checks failed, or it said so. */
  | 'unhealthy';

export interface BootFailure {
  readonly kind: FailureKind;
  readonly atSeconds: number;
}

/** The last boot of a node into one release. */
export interface BootAttempt extends PowerCycle {
  readonly grantedAtSeconds: number;
  /** `left`: not healthy yet when the node was given another release. Nothing more is to be heard of it. */
  readonly outcome: 'open' | 'healthy' | 'failed' | 'left';
}

/** What one node knows by experience of one release. */
export interface NodeRelease {
  readonly releaseDigest: string;
  readonly version: number;
  /** Boots that failed since it was last healthy. */
  readonly failedTries: number;
  readonly lastBoot: BootAttempt;
  /** The rollout that it joined with this release: what it went through in an earlier one counts in no later one. */
  readonly rolloutId?: string;
  readonly healthyAtSeconds?: number;
  readonly lastFailure?: BootFailure;
}

/** `trying`: neither healthy yet nor given up. */
export type Experience = 'trying' | 'healthy' | 'failed';

/** A node as the release decision sees it. */
export interface NodeHistory {
  readonly nodeId: string;
  readonly group?: string;
  /** Hex digest of the release that an operator chose for this node alone. */
  readonly pin?: string;
  /** By release digest. */
  readonly releases: ReadonlyMap<string, NodeRelease>;
}

export interface HealthRules {
  /** Failed boots after which a node is given the other slot. */
  readonly maxTries: number;
  /** From the grant to the first health report. */
  readonly healthWindowSeconds: number;
}

export const DEFAULT_HEALTH_RULES: HealthRules = { maxTries: 3, healthWindowSeconds: 900 };

export function experienceOf(record: NodeRelease, { maxTries }: HealthRules): Experience {
  if (record.failedTries >= maxTries) return 'failed';
  return record.healthyAtSeconds !== undefined && record.failedTries === 0 ? 'healthy' : 'trying';
}

/**
 * The node asks for a boot: what it was granted before and never reported on has failed. In the same power cycle it has
 * not left stage-0, and asks once more for the same boot.
 *
 * @param now judgedSinceSeconds: boots from before it are judged by nobody
 */
export function bookReturn(
  history: NodeHistory,
  now: PowerCycle & { atSeconds: number; judgedSinceSeconds: number },
): NodeHistory {
  return mapReleases(history, (record) =>
    isOpenSince(record, now.judgedSinceSeconds) && !isSameCycle(record.lastBoot, now)
      ? bookFailure(record, { kind: 'came-back', atSeconds: now.atSeconds })
      : record,
  );
}

/** Nothing was heard of these boots within their window. */
export function bookSilence(
  history: NodeHistory,
  { healthWindowSeconds }: HealthRules,
  now: { atSeconds: number; judgedSinceSeconds: number },
): NodeHistory {
  return mapReleases(history, (record) =>
    isOpenSince(record, now.judgedSinceSeconds) &&
    record.lastBoot.grantedAtSeconds + healthWindowSeconds <= now.atSeconds
      ? bookFailure(record, { kind: 'silent', atSeconds: now.atSeconds })
      : record,
  );
}

function isOpenSince({ lastBoot }: NodeRelease, sinceSeconds: number): boolean {
  return lastBoot.outcome === 'open' && lastBoot.grantedAtSeconds >= sinceSeconds;
}

/**
 * A boot into this release begins; in a rollout that the node joins with it, from the beginning. The node has left
 * every other release.
 */
export function bookGrant(
  history: NodeHistory,
  grant: PowerCycle & { releaseDigest: string; version: number; atSeconds: number; joins?: { id: string } },
): NodeHistory {
  const { releaseDigest, version, resetCount, restartCount, atSeconds, joins } = grant;
  const before = joins ? { rolloutId: joins.id } : history.releases.get(releaseDigest);
  const record: NodeRelease = {
    failedTries: 0,
    ...before,
    releaseDigest,
    version,
    lastBoot: { resetCount, restartCount, grantedAtSeconds: atSeconds, outcome: 'open' },
  };
  const { releases } = mapReleases(history, leave);
  return { ...history, releases: new Map([...releases, [releaseDigest, record]]) };
}

/** A boot that was granted and never made, or that failed and has tries left. */
function leave(record: NodeRelease): NodeRelease {
  const { outcome } = record.lastBoot;
  return outcome === 'open' || outcome === 'failed'
    ? { ...record, lastBoot: { ...record.lastBoot, outcome: 'left' } }
    : record;
}

/**
 * The running system of this power cycle has reported. What it says later counts, too: a system that was late or
 * unwell may become healthy, one that was healthy may fail, and fails once in a boot.
 */
export function bookHealth(
  history: NodeHistory,
  report: PowerCycle & { releaseDigest: string; health: 'healthy' | 'unhealthy'; atSeconds: number },
): NodeHistory {
  const record = history.releases.get(report.releaseDigest);
  if (record === undefined || !isSameCycle(record.lastBoot, report)) return history;
  const { atSeconds } = report;
  const booked =
    report.health === 'healthy'
      ? bookSuccess(record, atSeconds)
      : record.lastBoot.outcome === 'failed'
        ? record
        : bookFailure(record, { kind: 'unhealthy', atSeconds });
  return { ...history, releases: new Map([...history.releases, [record.releaseDigest, booked]]) };
}

/** An operator lets the node try again what it has given up. That it was healthy there before proves nothing now. */
export function forgetFailures(history: NodeHistory): NodeHistory {
  return mapReleases(history, (record) => {
    if (record.failedTries === 0) return record;
    const { healthyAtSeconds: _, ...unproven } = record;
    return { ...unproven, failedTries: 0 };
  });
}

/** For people: what it tried and how that ended. */
export function describeExperience(record: NodeRelease, rules: HealthRules): string {
  const what = `version ${record.version}`;
  const tries = `${record.failedTries} of ${rules.maxTries} tries failed`;
  const last = record.lastFailure && `, last: ${FAILURE_WORDS[record.lastFailure.kind]}`;
  switch (experienceOf(record, rules)) {
    case 'healthy':
      return `${what}: healthy`;
    case 'trying':
      return record.failedTries === 0 ? `${what}: started, no report yet` : `${what}: ${tries}${last ?? ''}`;
    case 'failed':
      return `${what}: given up, ${tries}${last ?? ''}`;
  }
}

export const FAILURE_WORDS: Readonly<Record<FailureKind, string>> = {
  'came-back': 'it came back for another boot without having reported',
  silent: 'it did not report within its health window',
  unhealthy: 'its own checks failed',
};

function bookSuccess(record: NodeRelease, atSeconds: number): NodeRelease {
  return {
    ...record,
    failedTries: 0,
    healthyAtSeconds: atSeconds,
    lastBoot: { ...record.lastBoot, outcome: 'healthy' },
  };
}

function bookFailure(record: NodeRelease, failure: BootFailure): NodeRelease {
  return {
    ...record,
    failedTries: record.failedTries + 1,
    lastFailure: failure,
    lastBoot: { ...record.lastBoot, outcome: 'failed' },
  };
}

/** The same history when nothing of it changes. */
function mapReleases(history: NodeHistory, change: (record: NodeRelease) => NodeRelease): NodeHistory {
  const releases = new Map([...history.releases].map(([digest, record]) => [digest, change(record)]));
  const isChanged = [...releases].some(([digest, record]) => history.releases.get(digest) !== record);
  return isChanged ? { ...history, releases } : history;
}

export function isSameCycle(a: PowerCycle, b: PowerCycle): boolean {
  return a.resetCount === b.resetCount && a.restartCount === b.restartCount;
}
