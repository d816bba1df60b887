import type { Clock } from '../../core/clock.ts';

/** A bucket of tokens per name: a minute's worth at most, filled again as time passes. */
export type RateLimit = (name: string, perMinute: number, cost?: number) => boolean;

export function createRateLimit(clock: Clock): RateLimit {
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  return (name, perMinute, cost = 1) => {
    const nowMs = clock.nowMs();
    const { tokens, atMs } = buckets.get(name) ?? { tokens: perMinute, atMs: nowMs };
    const filled = Math.min(perMinute, tokens + (Math.max(0, nowMs - atMs) * perMinute) / 60_000);
    buckets.set(name, { tokens: filled >= cost ? filled - cost : filled, atMs: nowMs });
    return filled >= cost;
  };
}
