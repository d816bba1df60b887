import { describe, expect, it } from 'vitest';
import {
  describeRefresh,
  type RefreshStatus,
  refreshWarnings,
} from '../../src/boot-signer/front/refresh-status.ts';

const HOUR = 3600;
const PLAN = { everySeconds: HOUR, whenLeftSeconds: 168 * HOUR };
const NOW = 1_800_000_000;
const GOOD: RefreshStatus = {
  startedAtSeconds: NOW - 100 * HOUR,
  succeededAtSeconds: NOW - HOUR,
  timestamp: { version: 7, signedAtSeconds: NOW - 50 * HOUR, expiresMs: (NOW + 300 * HOUR) * 1000 },
};
const warnings = (change: Partial<RefreshStatus>) => refreshWarnings({ ...GOOD, ...change }, PLAN, NOW);

describe('the scheduler of the signing service', () => {
  it('has nothing to warn of while it works', () => {
    expect(warnings({})).toEqual([]);
    expect(warnings({ failure: { atSeconds: NOW, detail: 'once' } })).toEqual([]);
  });

  it('R7 warns when no look has succeeded for twice its interval, and says why', () => {
    const failure = { atSeconds: NOW, detail: 'the key is locked' };
    expect(warnings({ succeededAtSeconds: NOW - 2 * HOUR })).toEqual([]);
    expect(warnings({ succeededAtSeconds: NOW - 2 * HOUR - 1, failure })).toEqual([
      'no look at the repository has succeeded for 2 hours: the key is locked',
    ]);
    const { succeededAtSeconds: _, ...never } = GOOD;
    expect(refreshWarnings(never, PLAN, NOW)).toEqual(['no look at the repository has succeeded for 4 days']);
  });

  it('warns when the timestamp is nearer to its expiry than half of what it should have left', () => {
    const leaving = (seconds: number) =>
      warnings({ timestamp: { version: 7, expiresMs: (NOW + seconds) * 1000 } });
    expect(leaving(84 * HOUR)).toEqual([]);
    expect(leaving(84 * HOUR - 1)).toEqual([
      'the timestamp expires in 3 days, and was to be signed anew long before',
    ]);
    expect(leaving(0)).toEqual(['the timestamp has expired: all nodes stop booting']);
  });

  it('says what it knows', () => {
    expect(describeRefresh(GOOD, PLAN, NOW)).toEqual({
      startedAt: NOW - 100 * HOUR,
      succeededAt: NOW - HOUR,
      timestamp: {
        timestampVersion: 7,
        signedAtSeconds: NOW - 50 * HOUR,
        ageSeconds: 50 * HOUR,
        expiresInSeconds: 300 * HOUR,
      },
      warnings: [],
    });
  });
});
