import { pino } from 'pino';
import { beforeAll, describe, expect, it } from 'vitest';
import type { AuditEvent } from '../../src/attestation/event-store.ts';
import { startFreshnessWatch } from '../../src/boot-server/services/freshness-watch.ts';
import type { PublishedRepository } from '../../src/boot-server/services/published-repository.ts';
import { verifyRepository } from '../../src/signing/tuf/verify-repository.ts';
import { DAY_MS, EXPIRY, NOW_MS, SIGNERS, TestRepository } from '../signing/tuf/tuf-fixture.ts';
import { refreshRepository } from '../signing/tuf/write-with-keys.ts';

const DAY = DAY_MS / 1000;
let repository: TestRepository;

beforeAll(async () => {
  repository = await TestRepository.create();
});

function world() {
  const events: Omit<AuditEvent, 'id'>[] = [];
  const log: string[] = [];
  const state = { nowMs: NOW_MS, published: publishedOf(), broken: false };
  const watch = startFreshnessWatch({
    repository: { current: () => state.published },
    refreshSeconds: 7 * DAY,
    eventStore: {
      listEvents: async () => [],
      async appendEvent(event) {
        if (state.broken) throw new Error('disk full');
        events.push(event);
      },
    },
    clock: { nowMs: () => state.nowMs },
    logger: pino({}, { write: (line: string) => void log.push(line) }),
  });
  watch.stop();
  const on = async (day: number) => {
    state.nowMs = NOW_MS + day * DAY_MS;
    await watch.check();
    return events.map(({ kind }) => kind);
  };
  return { state, watch, events, log, on };
}

function publishedOf(): PublishedRepository | undefined {
  const { trustedRoot, files } = repository;
  const verified = verifyRepository({ trustedRoot, files, nowMs: NOW_MS });
  return { verified } as PublishedRepository;
}

describe('the age of the metadata that are served', () => {
  it('R7 is an event once when it becomes too old, and once when that is over', async () => {
    const { state, events, log, on } = world();
    expect(await on(14)).toEqual([]);
    expect(await on(15)).toEqual(['metadata-stale']);
    expect(await on(16)).toEqual(['metadata-stale']);
    expect(events[0]?.detail.reason).toMatch(/signed 15 days ago/);
    expect(log.join()).toContain('metadata are not fresh');
    const expiry = { ...EXPIRY, onlineMs: NOW_MS + 46 * DAY_MS };
    const files = new Map(repository.files);
    for (const { name, bytes } of await refreshRepository({
      current: repository.verified(),
      signers: SIGNERS,
      expiry,
    }))
      files.set(name, bytes);
    const { trustedRoot } = repository;
    state.published = {
      verified: verifyRepository({ trustedRoot, files, nowMs: NOW_MS }),
    } as PublishedRepository;
    expect(await on(16)).toEqual(['metadata-stale', 'metadata-fresh']);
  });

  it('is told again when the event could not be written', async () => {
    const { state, on } = world();
    state.broken = true;
    await expect(on(15)).rejects.toThrow('disk full');
    state.broken = false;
    expect(await on(15)).toEqual(['metadata-stale']);
  });

  it('is no alarm before anything is published', async () => {
    const { state, on } = world();
    state.published = undefined;
    expect(await on(100)).toEqual([]);
  });
});
