import { beforeAll, describe, expect, it } from 'vitest';
import { freshnessOf, lengthOf, staleWarning } from '../../../src/signing/tuf/freshness.ts';
import { type VerifiedRepository, verifyRepository } from '../../../src/signing/tuf/verify-repository.ts';
import { DAY_MS, NOW_MS, TestRepository } from './tuf-fixture.ts';

const DAY = DAY_MS / 1000;
let verified: VerifiedRepository;

beforeAll(async () => {
  const { trustedRoot, files } = await TestRepository.create();
  verified = verifyRepository({ trustedRoot, files, nowMs: NOW_MS });
});

describe('how fresh metadata are', () => {
  it('is the age of the timestamp and its seconds to expiry', () => {
    expect(freshnessOf(verified, NOW_MS + 3 * DAY_MS)).toEqual({
      timestampVersion: 3,
      signedAtSeconds: NOW_MS / 1000,
      ageSeconds: 3 * DAY,
      expiresInSeconds: 27 * DAY,
    });
    expect(freshnessOf(verified, NOW_MS + 31 * DAY_MS).expiresInSeconds).toBe(-DAY);
  });

  it('R7 is an alarm after twice the refresh interval, and not before', () => {
    expect(staleWarning(freshnessOf(verified, NOW_MS + 2 * DAY_MS), DAY)).toBeUndefined();
    expect(staleWarning(freshnessOf(verified, NOW_MS + 2 * DAY_MS + 1000), DAY)).toMatch(
      /^metadata: the timestamp was signed 2 days ago, and a new one is due every 24 hours/,
    );
  });

  it('is not known of a timestamp that does not say when it was signed', () => {
    const freshness = { timestampVersion: 3, expiresInSeconds: 5 };
    expect(staleWarning(freshness, 1)).toBeUndefined();
  });

  it('is told in words of the right size', () => {
    expect([5, 119, 120, 7199, 7200, 172_799, 172_800].map(lengthOf)).toEqual([
      ...['5 seconds', '119 seconds', '2 minutes', '119 minutes'],
      ...['2 hours', '47 hours', '2 days'],
    ]);
  });
});
