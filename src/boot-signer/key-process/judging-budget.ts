import type { Clock } from '../../core/clock.ts';
import type { KeyConfig } from '../config.ts';
import { refuse } from '../errors.ts';
import { createRateLimit } from './rate-limit.ts';

/**
 * What a client may have judged in a minute, so that one that asks for nothing sensible costs the others
 * nothing: in requests of at most 64 KiB, twice what all keys may sign and at least 600.
 */
const LEAST_PER_MINUTE = 600;
const UNIT_BYTES = 64 * 1024;
/** Files to hash count like so many requests. */
const FILES_COST = 60;

export interface JudgingBudget {
  /** @throws {RefusedError} `rate-limited` */
  takeText(client: string, text: string): void;
  /** @throws {RefusedError} `rate-limited` */
  takeFiles(client: string): void;
}

export function createJudgingBudget(clock: Clock, keys: readonly KeyConfig[]): JudgingBudget {
  const signatures = keys.reduce((sum, { signaturesPerMinute }) => sum + signaturesPerMinute, 0);
  const perMinute = Math.max(LEAST_PER_MINUTE, 2 * signatures);
  const take = createRateLimit(clock);
  const spend = (client: string, cost: number): void => {
    if (!take(client, perMinute, cost))
      refuse('rate-limited', `client ${client} has had enough judged for now: try again later`);
  };
  return {
    takeText: (client, text) => spend(client, Math.ceil(text.length / UNIT_BYTES)),
    takeFiles: (client) => spend(client, FILES_COST),
  };
}
