import type { EventStore } from '../../attestation/event-store.ts';
import { type Clock, secondsOf } from '../../core/clock.ts';
import { messageOf } from '../../core/errors.ts';
import { expiryWarnings } from '../../signing/tuf/expiry.ts';
import { freshnessOf, staleWarning } from '../../signing/tuf/freshness.ts';
import type { Logger } from '../logger.ts';
import type { RepositoryService } from './repository.ts';

const INTERVAL_MS = 60_000;

interface WatchParts {
  readonly repository: Pick<RepositoryService, 'current'>;
  readonly refreshSeconds: number;
  readonly eventStore: EventStore;
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Once a minute: an event and a line in the log when the timestamp becomes too old or too near to its
 * expiry, and when that is over.
 */
export function startFreshnessWatch(on: WatchParts): { stop(): void; check(): Promise<void> } {
  const check = createFreshnessCheck(on);
  const attempt = (): void => {
    check().catch((cause: unknown) =>
      on.logger.error({ reason: messageOf(cause) }, 'the age of the metadata was not recorded'),
    );
  };
  const timer = setInterval(attempt, INTERVAL_MS);
  timer.unref();
  return { check, stop: () => clearInterval(timer) };
}

function createFreshnessCheck(on: WatchParts): () => Promise<void> {
  let isStale = false;
  return async () => {
    const reason = alarmOf(on);
    if ((reason !== undefined) === isStale) return;
    await on.eventStore.appendEvent({
      atSeconds: secondsOf(on.clock),
      kind: reason === undefined ? 'metadata-fresh' : 'metadata-stale',
      subject: 'repository',
      detail: reason === undefined ? {} : { reason },
    });
    isStale = reason !== undefined;
    if (reason !== undefined) on.logger.error({ reason }, 'metadata are not fresh');
    else on.logger.info({}, 'metadata are fresh again');
  };
}

function alarmOf({ repository, refreshSeconds, clock }: WatchParts): string | undefined {
  const published = repository.current();
  if (published === undefined) return undefined;
  const { verified } = published;
  const nowMs = clock.nowMs();
  return (
    staleWarning(freshnessOf(verified, nowMs), refreshSeconds) ??
    expiryWarnings(verified, nowMs).find((warning) => warning.startsWith('timestamp '))
  );
}
