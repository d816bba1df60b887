import { type Clock, secondsOf } from '../../core/clock.ts';
import type { RepositoryService } from './repository.ts';

/**
 * Since when machines are answered: the start of this server, or the last time that it was seen set back, when they hear
 * nothing but refusals. Nobody owes a word from before.
 *
 * @returns to be asked at every round of whoever waits for machines
 */
export function createAnsweringSince(on: {
  repository: Pick<RepositoryService, 'setBack'>;
  clock: Clock;
}): () => number {
  let sinceSeconds = secondsOf(on.clock);
  return () => {
    if (on.repository.setBack() !== undefined) sinceSeconds = secondsOf(on.clock);
    return sinceSeconds;
  };
}
