import type { AttestationStore } from '../../attestation/attestation-store.ts';
import type { RunningNodeStore } from '../../attestation/running-nodes.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../logger.ts';
import type { PolicyService } from './policies.ts';
import { suspectSilentNodes } from './silent-nodes.ts';

const INTERVAL_MS = 60_000;
/** What expired is kept this long, so that a late answer still hears why it is refused. */
const KEPT_SECONDS = 3600;

/**
 * Once a minute: forgets what expired, and looks who has fallen silent. A round that fails is logged and the
 * next one tries again.
 */
export function startHousekeeping(on: {
  store: AttestationStore;
  runningNodes: RunningNodeStore;
  policies: PolicyService;
  clock: Clock;
  logger: Logger;
}): {
  stop(): void;
} {
  const startedAtSeconds = secondsOf(on.clock);
  const timer = setInterval(() => {
    void attempt('forgetting what expired', () => on.store.purgeExpired(secondsOf(on.clock) - KEPT_SECONDS));
    void attempt('looking for silent nodes', () => suspectSilentNodes({ ...on, startedAtSeconds }));
  }, INTERVAL_MS);
  timer.unref();

  async function attempt(task: string, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (cause) {
      on.logger.error({ task, reason: messageOf(cause) }, 'housekeeping failed');
    }
  }

  return { stop: () => clearInterval(timer) };
}
