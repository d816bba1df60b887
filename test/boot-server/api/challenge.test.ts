import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ChallengeRecord } from '../../../src/attestation/attestation-store.ts';
import { challengeDigest, createChallengeService } from '../../../src/boot-server/services/challenges.ts';
import { systemClock } from '../../../src/core/clock.ts';
import { systemRandom } from '../../../src/core/random.ts';
import { loadOrCreateServerKey, type ServerKey } from '../../../src/signing/keys/server-key.ts';
import { type Database, openDatabase } from '../../../src/storage/database.ts';
import { createSqlAttestationStore } from '../../../src/storage/sql-attestation-store.ts';

let folder: string;
let database: Database;
let grantKey: ServerKey;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bootward-challenge-'));
  database = await openDatabase(join(folder, 'state.db'));
  grantKey = await loadOrCreateServerKey(join(folder, 'grant.key'));
});

afterAll(async () => {
  await database.destroy();
  await rm(folder, { recursive: true, force: true });
});

const AK_NAME = `000b${'11'.repeat(32)}`;

function challengesKeptIn(kept: ChallengeRecord[]) {
  const store = {
    ...createSqlAttestationStore(database),
    saveChallenge: async (challenge: ChallengeRecord) => void kept.push(challenge),
  };
  const common = { grantKey, serverKeys: ['ab'.repeat(32)], ttlSeconds: 120 };
  return createChallengeService({ ...common, store, clock: systemClock, random: systemRandom });
}

const payloadOf = (jws: string) => JSON.parse(Buffer.from(jws.split('.')[1] ?? '', 'base64url').toString());

test('a challenge says what the protocol says, and is stored before it is told', async () => {
  const kept: ChallengeRecord[] = [];
  const jws = await challengesKeptIn(kept).issue({ purpose: 'boot', akName: AK_NAME });
  const header = JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString());
  expect(header).toEqual({ alg: 'EdDSA', typ: 'bootward-challenge+jwt', kid: grantKey.keyId });
  const { nonce, iat, exp, ...rest } = payloadOf(jws);
  expect(nonce).toMatch(/^[A-Za-z0-9_-]{43}$/);
  expect(exp - iat).toBe(120);
  expect(rest).toEqual({
    purpose: 'boot',
    akName: AK_NAME,
    pcrBank: 'sha256',
    pcrs: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14],
    serverKeys: ['ab'.repeat(32)],
  });
  expect(kept.map(({ sha256 }) => sha256)).toEqual([challengeDigest(jws)]);
});

test('Q52 ten thousand nonces are distinct, and every one of their bits takes both values half of the time', async () => {
  const service = challengesKeptIn([]);
  const count = 10_000;
  const ones = new Array<number>(256).fill(0);
  const seen = new Set<string>();
  for (let issued = 0; issued < count; issued += 1) {
    const { nonce } = payloadOf(await service.issue({ purpose: 'boot', akName: AK_NAME }));
    seen.add(nonce);
    const bytes = Buffer.from(nonce, 'base64url');
    for (let bit = 0; bit < 256; bit += 1)
      ones[bit] = (ones[bit] ?? 0) + ((bytes.readUInt8(bit >> 3) >> (bit & 7)) & 1);
  }
  expect(seen.size).toBe(count);
  // Ten standard deviations of a fair coin.
  for (const set of ones) expect(Math.abs(set - count / 2)).toBeLessThan(10 * Math.sqrt(count / 4));
});
