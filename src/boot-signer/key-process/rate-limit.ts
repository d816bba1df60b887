import type { Clock } from '../../core/clock.ts';

/** A bucket of tokens per key: a minute's worth at most, filled again as time passes. */
export function createRateLimit(clock: Clock): (key: string, perMinute: number) => boolean {
  const buckets = new Map<string, { tokens: number; atMs: number }>();
  return (key, perMinute) => {
    const nowMs = clock.nowMs();
    const { tokens, atMs } = buckets.get(key) ?? { tokens: perMinute, atMs: nowMs };
    const filled = Math.min(perMinute, tokens + (Math.max(0, nowMs - atMs) * perMinute) / 60_000);
    buckets.set(key, { tokens: filled >= 1 ? filled - 1 : filled, atMs: nowMs });
    return filled >= 1;
  };
}
