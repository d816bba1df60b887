import { beforeAll, describe, expect, it } from 'vitest';
import { expiryWarnings } from '../../../src/signing/tuf/expiry.ts';
import { type VerifiedRepository, verifyRepository } from '../../../src/signing/tuf/verify-repository.ts';
import { DAY_MS, EXPIRY, NOW_MS, TestRepository } from './tuf-fixture.ts';

let verified: VerifiedRepository;

beforeAll(async () => {
  const { trustedRoot, files } = await TestRepository.create();
  verified = verifyRepository({ trustedRoot, files, nowMs: NOW_MS });
});

const warnedRoles = (nowMs: number) =>
  expiryWarnings(verified, nowMs).map((warning) => warning.split(' ', 1)[0]);

describe('a warning', () => {
  it('is not given while there is time', () => {
    expect(warnedRoles(NOW_MS)).toEqual([]);
    expect(warnedRoles(EXPIRY.onlineMs - 7 * DAY_MS)).toEqual([]);
  });

  it('comes a week before the online roles expire', () => {
    expect(warnedRoles(EXPIRY.onlineMs - 7 * DAY_MS + 1).sort()).toEqual(['snapshot', 'timestamp']);
  });

  it('comes thirty days before the others, and says which boots stop', () => {
    const warnings = expiryWarnings(verified, EXPIRY.offlineMs - 30 * DAY_MS + 1);
    expect(warnings).toHaveLength(verified.roles.size);
    const about = (role: string) => warnings.find((warning) => warning.startsWith(`${role} `));
    expect(about('timestamp')).toMatch(/^timestamp has expired: run "boot-sign refresh" and publish/);
    expect(about('root')).toBe(
      'root expires in 29 days: run "boot-sign refresh --all" and publish. Then all nodes stop booting, and nothing new can be published.',
    );
    expect(about('channel-demo')).toContain('its nodes stop booting');
    expect(about('stage0')).toContain('boots go on');
  });
});
