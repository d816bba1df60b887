import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { SIGNED_AT_FIELD } from '../../../src/signing/tuf/envelope.ts';
import { type FetchFile, fetchMetadata } from '../../../src/signing/watch/fetch-metadata.ts';
import { observe, type Sighting, sightingOf } from '../../../src/signing/watch/observe.ts';
import {
  emptyMemory,
  loadMemory,
  saveMemory,
  type WatchMemory,
} from '../../../src/signing/watch/watch-memory.ts';
import { DAY_MS, EXPIRY, type Flippable, NOW_MS, SIGNERS, TestRepository } from '../tuf/tuf-fixture.ts';
import { refreshRepository } from '../tuf/write-with-keys.ts';

const DAY = DAY_MS / 1000;
let repository: TestRepository;
let memory: WatchMemory;

beforeEach(async () => {
  repository = await TestRepository.create();
  memory = emptyMemory(repository.trustedRoot);
});

const doorOf =
  (files: ReadonlyMap<string, Uint8Array>): FetchFile =>
  async (file) =>
    files.get(file);

/** A look as `boot-admin watch` takes it, at a door that serves these files. */
async function look(day = 0, files: ReadonlyMap<string, Uint8Array> = repository.files): Promise<Sighting> {
  const { trustedRoot } = repository;
  const nowMs = NOW_MS + day * DAY_MS;
  try {
    const fetched = await fetchMetadata(trustedRoot, doorOf(files));
    const seen = observe({ trustedRoot, files: fetched, memory, nowMs, maxAgeSeconds: 14 * DAY });
    memory = seen.memory;
    return seen.sighting;
  } catch (error) {
    return sightingOf(error, nowMs);
  }
}

const refresh = async (day: number) => {
  const expiry = { ...EXPIRY, onlineMs: EXPIRY.onlineMs + day * DAY_MS };
  repository.apply(await refreshRepository({ current: repository.verified(), signers: SIGNERS, expiry }));
};

describe('a watcher with nothing but a root', () => {
  it('sees what is current, with its versions and its age', async () => {
    expect(await look(3)).toMatchObject({
      kind: 'current',
      ageSeconds: 3 * DAY,
      versions: { root: 1, timestamp: 3, 'channel-demo': 2, stage0: 2 },
    });
  });

  it('R7 sees a freeze: the same good metadata for too long, before they expire', async () => {
    expect((await look(14)).kind).toBe('current');
    expect(await look(15)).toMatchObject({ kind: 'frozen', ageSeconds: 15 * DAY });
    await refresh(15);
    expect((await look(15)).kind).toBe('current');
    expect((await look(60)).kind).toBe('expired');
  });

  it('R7 sees a freeze of timestamps that do not say when they were signed', async () => {
    await repository.flip('timestamp', (signed: Flippable) => delete signed[SIGNED_AT_FIELD]);
    expect(await look(5)).toMatchObject({ kind: 'current', ageSeconds: 0 });
    expect(await look(20)).toMatchObject({ kind: 'frozen', ageSeconds: 15 * DAY });
  });

  it('R7 believes no timestamp that it is younger than when it was seen first', async () => {
    await repository.flip('timestamp', (signed: Flippable) => {
      signed[SIGNED_AT_FIELD] = NOW_MS / 1000 + 25 * DAY;
    });
    await look(5);
    expect(await look(20)).toMatchObject({ kind: 'frozen', ageSeconds: 15 * DAY });
  });

  it('R5 R4 sees a door that serves what is older than it has seen, and forgets nothing over it', async () => {
    const old = new Map(repository.files);
    await refresh(1);
    await look(1);
    const known = memory;
    expect(await look(1, old)).toMatchObject({
      kind: 'rolled-back',
      detail: 'timestamp is version 3, version 4 was seen',
    });
    expect(memory).toBe(known);
    expect((await look(1)).kind).toBe('current');
  });

  it('R1 sees a door that keeps back a newer root', async () => {
    const old = new Map(repository.files);
    await addRoot();
    expect((await look()).versions?.root).toBe(2);
    expect(await look(0, old)).toMatchObject({
      kind: 'rolled-back',
      detail: expect.stringMatching(/^root /),
    });
  });

  it('R2 sees another file of the same version', async () => {
    await look();
    await repository.flip('timestamp', (signed: Flippable) => {
      signed.expires = '2026-12-01T00:00:00Z';
    });
    expect((await look()).kind).toBe('forged');
  });

  it.each(['timestamp.json', '3.snapshot.json', '1.targets.json', '2.channel-demo.json'])(
    'sees a byte that was altered in %s',
    async (name) => {
      const bytes = Buffer.from(repository.bytes(name));
      bytes[bytes.indexOf('"version"') + 2] = 0x78;
      expect((await look(0, new Map([...repository.files, [name, bytes]]))).kind).toBe('forged');
    },
  );

  it('calls a door that serves nothing, or not all, unreachable', async () => {
    expect(await look(0, new Map())).toMatchObject({ kind: 'unreachable' });
    const files = new Map(repository.files);
    files.delete('2.channel-demo.json');
    expect(await look(0, files)).toMatchObject({
      kind: 'unreachable',
      detail: '2.channel-demo.json is missing',
    });
  });

  it('asks for no file that is not named like one', async () => {
    await repository.flip('snapshot', ({ meta }: Flippable) => {
      meta['../../admin.json'] = { ...meta['targets.json'] };
    });
    const asked: string[] = [];
    const fetchFile: FetchFile = async (file) => {
      asked.push(file);
      return repository.files.get(file);
    };
    await expect(fetchMetadata(repository.trustedRoot, fetchFile)).rejects.toMatchObject({
      code: 'tuf-metadata-invalid',
    });
    expect(asked.filter((file) => file.includes('..'))).toEqual([]);
  });
});

describe('what it remembers', () => {
  const file = (): string => {
    const folder = mkdtempSync(join(tmpdir(), 'bootward-watch-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    return join(folder, 'state.json');
  };

  it('comes back as it was saved', async () => {
    const path = file();
    expect(await loadMemory(path, repository.trustedRoot)).toEqual(memory);
    await look(1);
    await saveMemory(path, memory);
    expect(await loadMemory(path, repository.trustedRoot)).toEqual(memory);
    expect(memory.roles.get('timestamp')?.signedAtSeconds).toBe(NOW_MS / 1000);
  });

  it('R9 is of one root', async () => {
    const path = file();
    await look();
    await saveMemory(path, memory);
    await addRoot();
    await expect(loadMemory(path, repository.bytes('2.root.json'))).rejects.toMatchObject({
      code: 'watch-state-of-another-root',
    });
  });

  it.each([
    ['cut short', (text: string) => text.slice(0, -10)],
    ['of a version that is text', (text: string) => text.replace('"version": 3', '"version": "3"')],
    ['of another format', (text: string) => text.replace('watch-v1', 'watch-v2')],
  ])('is not taken when it is %s', async (_, change) => {
    const path = file();
    await look();
    await saveMemory(path, memory);
    writeFileSync(path, change(readFileSync(path, 'utf8')));
    await expect(loadMemory(path, repository.trustedRoot)).rejects.toMatchObject({
      code: 'watch-state-invalid',
    });
  });
});

/** Root once more: version 2. */
async function addRoot(): Promise<void> {
  const first = repository.bytes('1.root.json');
  await repository.flip('root', (signed: Flippable) => {
    signed.version = 2;
  });
  repository.files.set('2.root.json', repository.bytes('1.root.json'));
  repository.files.set('1.root.json', first);
}
