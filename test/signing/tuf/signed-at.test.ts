import { beforeEach, describe, expect, it } from 'vitest';
import { SIGNED_AT_FIELD } from '../../../src/signing/tuf/envelope.ts';
import type { TufErrorCode } from '../../../src/signing/tuf/errors.ts';
import { requireSignedByNow } from '../../../src/signing/tuf/signed-at.ts';
import { verifyRepository } from '../../../src/signing/tuf/verify-repository.ts';
import {
  DAY_MS,
  EXPIRY,
  type Flippable,
  NOW_MS,
  SIGNERS,
  signDocument,
  TestRepository,
  testSigner,
} from './tuf-fixture.ts';
import { refreshRepository } from './write-with-keys.ts';

const NOW = NOW_MS / 1000;
let repository: TestRepository;

beforeEach(async () => {
  repository = await TestRepository.create();
});

type Input = Parameters<typeof verifyRepository>[0];
function verify(input: Partial<Input> = {}) {
  const { trustedRoot, files } = repository;
  return verifyRepository({ trustedRoot, files, nowMs: NOW_MS, ...input });
}

function refuses(code: TufErrorCode, message: RegExp, input: Partial<Input> = {}): void {
  expect(() => verify(input)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message) }),
  );
}

const signedAt = (value: unknown) =>
  repository.flip('timestamp', (signed: Flippable) => {
    signed[SIGNED_AT_FIELD] = value;
  });

describe('the time in a timestamp', () => {
  it('is written with every one, and kept with what was seen', () => {
    expect(repository.document('timestamp.json').signed[SIGNED_AT_FIELD]).toBe(NOW);
    expect(verify().roles.get('timestamp')?.signedAtSeconds).toBe(NOW);
    expect(verify().roles.get('snapshot')).not.toHaveProperty('signedAtSeconds');
  });

  it('may be missing: timestamps of before it was there stay good', async () => {
    const { roles } = verify();
    await repository.flip('timestamp', (signed: Flippable) => {
      delete signed[SIGNED_AT_FIELD];
      signed.version += 1;
    });
    expect(verify({ previous: roles }).roles.get('timestamp')).not.toHaveProperty('signedAtSeconds');
  });

  it.each([0, -1, 1.5, '1', null, true, [], 2 ** 53])('R8 %j is none', async (value) => {
    await repository.replace('timestamp', await rawTimestamp(value));
    refuses('tuf-metadata-invalid', /./);
  });

  it('R11 is not later than the timestamp expires', async () => {
    const expires = EXPIRY.onlineMs / 1000;
    await signedAt(expires);
    verify();
    await signedAt(expires + 1);
    refuses('tuf-metadata-invalid', /later than it expires/);
    await signedAt(Number.MAX_SAFE_INTEGER);
    refuses('tuf-metadata-invalid', /later than it expires/);
  });

  it('R11 is not later than root expires, whatever the timestamp says of itself', async () => {
    const rootExpires = EXPIRY.offlineMs / 1000;
    const set = (value: number) =>
      repository.flip('timestamp', (signed: Flippable) => {
        signed.expires = '2099-01-01T00:00:00Z';
        signed[SIGNED_AT_FIELD] = value;
      });
    await set(rootExpires);
    verify();
    await set(rootExpires + 1);
    refuses('tuf-metadata-invalid', /later than root expires/);
  });

  it('R11 is not later than a minute from now, for who publishes', () => {
    expect(() => requireSignedByNow(NOW + 60, NOW_MS)).not.toThrow();
    expect(() => requireSignedByNow(undefined, NOW_MS)).not.toThrow();
    expect(() => requireSignedByNow(NOW + 61, NOW_MS)).toThrow(
      expect.objectContaining({ code: 'tuf-signed-ahead' }),
    );
  });

  it('R9 does not go back, though the version goes on', async () => {
    const previous = verify().roles;
    await repository.flip('timestamp', (signed: Flippable) => {
      signed.version += 1;
      signed[SIGNED_AT_FIELD] = NOW - 1;
    });
    verify();
    refuses('tuf-rollback', /signed at/, { previous });
  });

  it('starts anew when root has exchanged the online keys', async () => {
    await signedAt(NOW + 20 * 86_400);
    const previous = verify().roles;
    await exchangeTimestampKey();
    expect(verify({ previous }).roles.get('timestamp')?.signedAtSeconds).toBe(NOW);
  });

  it.each(['root', 'snapshot', 'targets', 'channel-demo'])('is not in %s', async (role) => {
    await repository.flip(role, (signed: Flippable) => {
      signed[SIGNED_AT_FIELD] = NOW;
    });
    refuses('tuf-metadata-invalid', /only a timestamp/, { trustedRoot: repository.bytes('1.root.json') });
  });

  it('stays when the clock of whoever signs was set back', async () => {
    const expiry = { ...EXPIRY, onlineMs: EXPIRY.onlineMs - 5 * DAY_MS };
    repository.apply(await refreshRepository({ current: repository.verified(), signers: SIGNERS, expiry }));
    expect(verify().roles.get('timestamp')?.signedAtSeconds).toBe(NOW);
  });
});

async function rawTimestamp(value: unknown): Promise<Uint8Array> {
  const { signed } = repository.document('timestamp.json');
  // Canonical JSON has no fractions: what it cannot write is put into the signed text.
  const isCanonical = typeof value !== 'number' || Number.isSafeInteger(value);
  const bytes = await signDocument(
    { ...signed, [SIGNED_AT_FIELD]: isCanonical ? value : 7 },
    SIGNERS.timestamp,
  );
  if (isCanonical) return bytes;
  const document = JSON.parse(Buffer.from(bytes).toString());
  document.signed[SIGNED_AT_FIELD] = value;
  return Buffer.from(JSON.stringify(document));
}

async function exchangeTimestampKey(): Promise<void> {
  const fresh = testSigner('timestamp 2');
  const { signed } = repository.document('1.root.json');
  const root = structuredClone(signed);
  root.version = 2;
  root.keys[fresh.keyId] = fresh.key;
  root.roles.timestamp = { keyids: [fresh.keyId], threshold: 1 };
  repository.files.set('2.root.json', await signDocument(root, SIGNERS.root));
  await repository.flip(
    'timestamp',
    (timestamp: Flippable) => {
      timestamp[SIGNED_AT_FIELD] = NOW;
    },
    [fresh],
  );
}
