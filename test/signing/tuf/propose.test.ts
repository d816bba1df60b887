import { beforeEach, describe, expect, it } from 'vitest';
import { channelRole } from '../../../src/signing/names.ts';
import { verifyMetadata } from '../../../src/signing/tuf/verify-metadata.ts';
import { type VerifiedRepository, verifyRepository } from '../../../src/signing/tuf/verify-repository.ts';
import {
  DAY_MS,
  EXPIRY,
  GRANT_KEY,
  listingOf,
  MANIFEST,
  NOW_MS,
  SIGNERS,
  STAGE0,
  TestRepository,
  testSigner,
} from './tuf-fixture.ts';
import {
  addRelease,
  addStage0Build,
  createRepository,
  type RepositoryChange,
  refreshRepository,
  renewRepository,
} from './write-with-keys.ts';

const RELEASE_2 = listingOf({ ...MANIFEST, version: 2, name: 'demo release 2' });
let repository: TestRepository;

beforeEach(async () => {
  repository = await TestRepository.create();
});

const demoSigners = () => ({ ...SIGNERS, channel: SIGNERS.channels.get('demo') ?? [] });

const addRelease2 = (signers = demoSigners()): Promise<RepositoryChange> =>
  addRelease({ current: repository.verified(), release: RELEASE_2, signers, expiry: EXPIRY });

function verified(files: ReadonlyMap<string, Uint8Array> = repository.files): VerifiedRepository {
  return verifyRepository({ trustedRoot: repository.trustedRoot, files, nowMs: NOW_MS });
}

const versionsOf = ({ roles }: VerifiedRepository) =>
  Object.fromEntries([...roles].map(([role, { version }]) => [role, version]));

describe('a new repository', () => {
  it('is valid, empty, and at version 1 throughout', async () => {
    const change = await createRepository({ signers: SIGNERS, grantKeys: [GRANT_KEY], expiry: EXPIRY });
    const files = new Map(change.map(({ name, bytes }) => [name, bytes]));
    const trustedRoot = files.get('1.root.json') ?? new Uint8Array();
    const created = verifyRepository({ trustedRoot, files, nowMs: NOW_MS });
    expect(new Set(Object.values(versionsOf(created)))).toEqual(new Set([1]));
    expect([...created.channels.values(), created.stage0Builds].flat()).toEqual([]);
  });

  it('has the same bytes for the same keys and time', async () => {
    const make = () => createRepository({ signers: SIGNERS, grantKeys: [GRANT_KEY], expiry: EXPIRY });
    expect(await make()).toEqual(await make());
  });

  it('asks for every key of a role that has several', async () => {
    const targets = [testSigner('targets'), testSigner('targets, second')];
    const signers = { ...SIGNERS, targets };
    const change = await createRepository({ signers, grantKeys: [GRANT_KEY], expiry: EXPIRY });
    const files = new Map(change.map(({ name, bytes }) => [name, bytes]));
    const trustedRoot = files.get('1.root.json') ?? new Uint8Array();
    const { root } = verifyMetadata({ trustedRoot, files, nowMs: NOW_MS });
    expect(root.rules.targets).toEqual({ threshold: 2, keyIds: targets.map(({ keyId }) => keyId) });
  });
});

describe('a change', () => {
  it('raises exactly the versions that it must', async () => {
    const before = versionsOf(verified());
    repository.apply(await addRelease2());
    expect(versionsOf(verified())).toEqual({
      ...before,
      [channelRole('demo')]: (before[channelRole('demo')] as number) + 1,
      snapshot: (before.snapshot ?? 0) + 1,
      timestamp: (before.timestamp ?? 0) + 1,
    });
    expect(
      verified()
        .channels.get('demo')
        ?.map(({ version }) => version),
    ).toEqual([1, 2]);
  });

  it('follows what was served before, without a rollback', async () => {
    const previous = verified().roles;
    repository.apply(await addRelease2());
    const { trustedRoot, files } = repository;
    expect(() => verifyRepository({ trustedRoot, files, nowMs: NOW_MS, previous })).not.toThrow();
  });

  it('is written in an order that any crash leaves valid, and the next change writes over what it left', async () => {
    const change = await addRelease2();
    expect(change.at(-1)?.name).toBe('timestamp.json');
    const before = versionsOf(verified());
    for (let written = 0; written < change.length; written += 1) {
      const files = new Map(repository.files);
      for (const { name, bytes } of change.slice(0, written)) files.set(name, bytes);
      expect(versionsOf(verified(files)), `after ${written} files`).toEqual(before);
      const current = verifyMetadata({ trustedRoot: repository.trustedRoot, files, nowMs: NOW_MS });
      const again = await addRelease({ current, release: RELEASE_2, signers: demoSigners(), expiry: EXPIRY });
      expect(again.map(({ name }) => name)).toEqual(change.map(({ name }) => name));
    }
  });

  it('never changes what is listed', async () => {
    const release = { ...listingOf(MANIFEST), sha256: '00'.repeat(32) };
    const current = repository.verified();
    await expect(
      addRelease({ current, release, signers: demoSigners(), expiry: EXPIRY }),
    ).rejects.toMatchObject({ code: 'tuf-target-invalid' });
    await expect(
      addStage0Build({ current, build: { ...STAGE0, length: 1 }, signers: SIGNERS, expiry: EXPIRY }),
    ).rejects.toMatchObject({ code: 'tuf-target-invalid' });
  });

  it('needs a channel that is there', async () => {
    const release = listingOf({ ...MANIFEST, channel: 'other' });
    await expect(
      addRelease({ current: repository.verified(), release, signers: demoSigners(), expiry: EXPIRY }),
    ).rejects.toMatchObject({ code: 'tuf-delegation-invalid' });
  });

  it.each([
    ['channel', { channel: [testSigner('stranger')] }],
    ['snapshot', { snapshot: [testSigner('stranger')] }],
    ['timestamp', { timestamp: SIGNERS.snapshot }],
    ['nobody', { timestamp: [] }],
  ])('S1 is refused before it is written when %s signs with another key', async (_, signers) => {
    await expect(addRelease2({ ...demoSigners(), ...signers })).rejects.toMatchObject({
      code: 'tuf-threshold-not-met',
    });
  });
});

describe('refreshing', () => {
  const later = { offlineMs: EXPIRY.offlineMs + 20 * DAY_MS, onlineMs: EXPIRY.onlineMs + 20 * DAY_MS };

  it('makes a new snapshot and timestamp and nothing else', async () => {
    const change = await refreshRepository({
      current: repository.verified(),
      signers: SIGNERS,
      expiry: later,
    });
    expect(change.map(({ name }) => name)).toEqual(['4.snapshot.json', 'timestamp.json']);
    repository.apply(change);
    expect(verified().expiresMs).toBe(later.onlineMs);
  });

  it('brings back a repository whose timestamp has expired', async () => {
    const nowMs = EXPIRY.onlineMs + DAY_MS;
    const { trustedRoot, files } = repository;
    expect(() => verifyRepository({ trustedRoot, files, nowMs })).toThrow(/expired/);
    const current = verifyMetadata({ trustedRoot, files, nowMs: 0 });
    repository.apply(await refreshRepository({ current, signers: SIGNERS, expiry: later }));
    expect(() => verifyRepository({ trustedRoot, files, nowMs })).not.toThrow();
  });

  it('of everything renews each role, root included, and keeps what is listed', async () => {
    const before = verified();
    repository.apply(
      await renewRepository({ current: repository.verified(), signers: SIGNERS, expiry: later }),
    );
    const after = verified();
    for (const [role, version] of Object.entries(versionsOf(before)))
      expect(versionsOf(after)[role], role).toBe(version + 1);
    expect(after.channels).toEqual(before.channels);
    expect(after.stage0Builds).toEqual(before.stage0Builds);
    expect(after.grantKeys).toEqual(before.grantKeys);
  });
});
