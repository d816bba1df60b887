import type { AttestationStore } from '../../attestation/attestation-store.ts';
import type { EventRetention } from '../../attestation/event-store.ts';
import type { RunningNodeStore } from '../../attestation/running-nodes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { ChannelStore } from '../../releases/channel-store.ts';
import type { ArtifactStore } from '../../storage/artifact-store.ts';
import type { Config } from '../config.ts';
import type { Logger } from '../logger.ts';
import { createAnsweringSince } from './answering-since.ts';
import { forgetOldEvents } from './old-events.ts';
import { forgetOldHistories } from './old-histories.ts';
import type { PolicyService } from './policies.ts';
import type { ReadinessService } from './readiness.ts';
import type { RepositoryService } from './repository.ts';
import { progressRollouts } from './rollout-progress.ts';
import { suspectSilentNodes } from './silent-nodes.ts';
import { removeUnusedArtifacts } from './unused-artifacts.ts';

const INTERVAL_MS = 60_000;
const CLEANING_MS = 3_600_000;
/** What expired is kept this long, so that a late answer still hears why it is refused. */
const KEPT_SECONDS = 3600;
const DAY_SECONDS = 86_400;

/**
 * Looks after rollouts every few seconds. Once a minute: forgets what expired, looks who has fallen silent, and warns
 * of metadata that will expire. Once an hour: removes artifacts, histories and events that nothing needs. A task that fails is
 * logged and the next round tries again; one that takes longer than until then is not begun a second time.
 */
export function startHousekeeping(on: {
  store: AttestationStore;
  runningNodes: RunningNodeStore;
  policies: PolicyService;
  readiness: Pick<ReadinessService, 'warnings'>;
  channels: ChannelStore;
  artifacts: ArtifactStore;
  repository: Pick<RepositoryService, 'current' | 'setBack'>;
  eventStore: EventRetention;
  config: Pick<Config, 'rolloutCheckSeconds' | 'events'>;
  clock: Clock;
  logger: Logger;
}): {
  stop(): void;
} {
  const answeringSince = createAnsweringSince(on);
  const underWay = new Set<string>();
  const warned = new Map<string, number>();
  const timer = setInterval(() => {
    void attempt('forgetting what expired', () => on.store.purgeExpired(secondsOf(on.clock) - KEPT_SECONDS));
    void attempt('looking for silent nodes', () =>
      suspectSilentNodes({ ...on, answersSinceSeconds: answeringSince() }),
    );
    warnOnce();
  }, INTERVAL_MS);
  timer.unref();
  const rollouts = setInterval(
    () =>
      void attempt('looking after rollouts', () =>
        progressRollouts({ ...on, answersSinceSeconds: answeringSince() }),
      ),
    on.config.rolloutCheckSeconds * 1000,
  );
  rollouts.unref();
  const cleaning = setInterval(() => {
    void attempt('removing unused artifacts', clean);
    void attempt('forgetting old histories', async () => void (await forgetOldHistories(on)));
    void attempt('forgetting old events', forgetEvents);
  }, CLEANING_MS);
  cleaning.unref();

  async function clean(): Promise<void> {
    const removed = await removeUnusedArtifacts(on);
    if (removed.count > 0) on.logger.info({ ...removed }, 'removed artifacts that nothing needs any more');
  }

  async function forgetEvents(): Promise<void> {
    const count = await forgetOldEvents(on);
    if (count > 0) on.logger.info({ count }, 'forgot old events');
  }

  /** Each warning once a day, so that a log is read and an alarm rings again. */
  function warnOnce(): void {
    const today = Math.floor(secondsOf(on.clock) / DAY_SECONDS);
    for (const warning of on.readiness.warnings()) {
      const role = warning.split(' ', 1)[0] ?? warning;
      if (warned.get(role) === today) continue;
      warned.set(role, today);
      on.logger.warn({ role }, warning);
    }
  }

  async function attempt(task: string, work: () => Promise<void>): Promise<void> {
    if (underWay.has(task)) return;
    underWay.add(task);
    try {
      await work();
    } catch (cause) {
      on.logger.error({ task, reason: messageOf(cause) }, 'housekeeping failed');
    } finally {
      underWay.delete(task);
    }
  }

  return {
    stop() {
      clearInterval(timer);
      clearInterval(rollouts);
      clearInterval(cleaning);
    },
  };
}
