import type { ChannelState, SlottedChannel } from './channel.ts';
import {
  experienceOf,
  FAILURE_WORDS,
  type HealthRules,
  isSameCycle,
  type NodeHistory,
  type NodeRelease,
} from './node-releases.ts';
import { describeRollout, type Rollout } from './rollout.ts';
import { describeStep } from './rollout-plan.ts';

/** Something that an operator wants to find again. */
export interface ReleaseEvent {
  readonly kind: string;
  /** A node or a channel. */
  readonly subject: string;
  readonly detail: Readonly<Record<string, string>>;
  /** The same of this subject and version is not told again so soon. */
  readonly quietSeconds?: number;
}

/** A system can say every second that it is well and that it is not: every word counts, not every one is an event. */
const HEALTH_QUIET_SECONDS = 600;

/** What happened to a node between two states of its history. */
export function historyEvents(before: NodeHistory, after: NodeHistory, rules: HealthRules): ReleaseEvent[] {
  return [...after.releases.values()].flatMap((record) => {
    const former = before.releases.get(record.releaseDigest);
    return former === record ? [] : recordEvents(after.nodeId, { former, record, rules });
  });
}

function recordEvents(
  subject: string,
  { former, record, rules }: { former: NodeRelease | undefined; record: NodeRelease; rules: HealthRules },
): ReleaseEvent[] {
  const version = String(record.version);
  const events: ReleaseEvent[] = [];
  const quiet = former && isSecondWord(former, record) ? { quietSeconds: HEALTH_QUIET_SECONDS } : {};
  if (record.lastFailure && record.lastFailure !== former?.lastFailure)
    events.push({
      kind: 'node-boot-failed',
      subject,
      ...quiet,
      detail: {
        version,
        how: FAILURE_WORDS[record.lastFailure.kind],
        tries: `${record.failedTries} of ${rules.maxTries}`,
      },
    });
  const was = former && experienceOf(former, rules);
  const is = experienceOf(record, rules);
  if (is === was) return events;
  if (is === 'failed') events.push({ kind: 'node-gave-up', subject, ...quiet, detail: { version } });
  if (is === 'healthy') events.push({ kind: 'node-healthy', subject, ...quiet, detail: { version } });
  return events;
}

/** What became of this boot was known already, and is something else now. */
function isSecondWord({ lastBoot: before }: NodeRelease, { lastBoot: now }: NodeRelease): boolean {
  const isSameBoot = before.grantedAtSeconds === now.grantedAtSeconds && isSameCycle(before, now);
  return isSameBoot && before.outcome !== 'open';
}

/** What an operator or time has changed in a channel. */
export function channelEvents(before: ChannelState, after: ChannelState): ReleaseEvent[] {
  const subject = after.channel;
  if (after.mode === 'follow')
    return before.mode === 'follow' ? [] : [{ kind: 'channel-follows-newest', subject, detail: {} }];
  const was = before.mode === 'slots' ? before : undefined;
  const events: ReleaseEvent[] = [];
  for (const slot of ['A', 'B'] as const) {
    const content = after.slots[slot];
    if (content && content.releaseDigest !== was?.slots[slot]?.releaseDigest)
      events.push({ kind: 'slot-staged', subject, detail: { slot, version: String(content.version) } });
  }
  if (
    was &&
    (was.health.maxTries !== after.health.maxTries ||
      was.health.healthWindowSeconds !== after.health.healthWindowSeconds)
  )
    events.push({ kind: 'channel-health', subject, detail: { before: rulesOf(was), after: rulesOf(after) } });
  const active = after.slots[after.active];
  if (active && (was === undefined || was.active !== after.active))
    events.push({
      kind: 'slot-active',
      subject,
      detail: { slot: after.active, version: String(active.version) },
    });
  return [...events, ...rolloutEvents(subject, was?.rollout, after.rollout)];
}

function rulesOf({ health }: SlottedChannel): string {
  return `${health.maxTries} tries of ${health.healthWindowSeconds} seconds`;
}

function rolloutEvents(
  subject: string,
  before: Rollout | undefined,
  after: Rollout | undefined,
): ReleaseEvent[] {
  if (after === undefined || after === before) return [];
  const isNew = before?.id !== after.id;
  if (isNew || before.state !== after.state)
    return [
      {
        kind: `rollout-${isNew ? 'started' : after.state === 'running' ? 'resumed' : after.state}`,
        subject,
        detail: { what: describeRollout(after), budget: String(after.plan.failureBudget) },
      },
    ];
  const step = after.plan.steps[after.step];
  if (before.step === after.step || step === undefined) return [];
  return [
    {
      kind: 'rollout-step',
      subject,
      detail: { version: String(after.version), step: String(after.step + 1), takesIn: describeStep(step) },
    },
  ];
}
