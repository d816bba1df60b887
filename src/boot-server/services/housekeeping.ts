import type { AttestationStore } from '../../attestation/attestation-store.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import type { Logger } from '../logger.ts';

const INTERVAL_MS = 60_000;
/** What expired is kept this long, so that a late answer still hears why it is refused. */
const KEPT_SECONDS = 3600;

/** Forgets what expired, once a minute. A round that fails is logged and the next one tries again. */
export function startHousekeeping(on: { store: AttestationStore; clock: Clock; logger: Logger }): {
  stop(): void;
} {
  const timer = setInterval(() => {
    on.store.purgeExpired(secondsOf(on.clock) - KEPT_SECONDS).catch((cause: unknown) => {
      on.logger.error({ reason: messageOf(cause) }, 'housekeeping failed');
    });
  }, INTERVAL_MS);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
