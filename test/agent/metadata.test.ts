import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { canonicalize } from '@tufjs/canonical-json';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asciiBytes } from '../../src/core/bytes.ts';
import type { JsonObject } from '../../src/core/strict-json.ts';
import {
  EXPIRES_REFUSED,
  EXPIRES_TAKEN,
  SPEC_VERSIONS_REFUSED,
  SPEC_VERSIONS_TAKEN,
} from '../signing/tuf/reader-vectors.ts';
import { openScriptedLab, POISONED, type Scenario, type ScriptedLab } from './scripted-lab.ts';
import {
  createKeys,
  createSignedWorld,
  newSigners,
  rootOf,
  signed,
  type WorldChanges,
} from './signed-world.ts';

let lab: ScriptedLab;
beforeAll(async () => {
  lab = await openScriptedLab();
});
afterAll(() => lab.close());

const PAST_MS = Date.parse('2026-01-01T00:00:00Z');
const FUTURE_MS = Date.parse('2049-01-01T00:00:00Z');

async function refusalOf(scenario: Scenario): Promise<string | undefined> {
  const outcome = await lab.run(scenario);
  expect(outcome.status, outcome.console).toBe(20);
  expect(outcome.pcr14).toBe(POISONED);
  expect(outcome.server.requests.filter((request) => request.includes('/v1/artifacts/'))).toEqual([]);
  return outcome.stopCode;
}

/** One file of the repository, with other bytes. */
const served = (file: string, bytes: Uint8Array, world: ReadonlyMap<string, Uint8Array>): Scenario => ({
  lies: { tuf: (name) => (name === file ? bytes : world.get(name)) },
});

describe('metadata is signed by whoever may sign it', () => {
  it.each<[string, () => WorldChanges]>([
    ['S1 a stranger', () => ({ channelSigners: newSigners(2) })],
    ['S2 the keys of another role', () => ({ channelSigners: [...lab.keys.targets, ...lab.keys.stage0] })],
    ['S3 one key of two', () => ({ channelSigners: lab.keys.channel.slice(0, 1) })],
    ['nobody', () => ({ channelSigners: [] })],
  ])('refuses a channel signed by %s', async (_who, changes) => {
    expect(await refusalOf({ world: changes() })).toBe('metadata-signature');
  });

  it('S3 refuses one key that signs twice under one id', async () => {
    const [key] = lab.keys.channel;
    if (key === undefined) throw new Error('the lab has channel keys');
    expect(await refusalOf({ world: { channelSigners: [key, key] } })).toBe('metadata-malformed');
  });

  it('S3 counts one key under two ids once', async () => {
    const [key] = lab.keys.channel;
    if (key === undefined) throw new Error('the lab has channel keys');
    const alias = { ...key, keyId: 'f'.repeat(64) };
    const targets = (document: JsonObject): JsonObject => {
      const { delegations } = document as {
        delegations: { keys: JsonObject; roles: { keyids: string[] }[] };
      };
      delegations.keys[alias.keyId] = { ...key.key, keyval: { ...key.key.keyval } };
      delegations.roles[0]?.keyids.push(alias.keyId);
      return document;
    };
    expect(await refusalOf({ world: { targets, channelSigners: [key, alias] } })).toBe('metadata-signature');
  });

  it.each([0, -1])('S4 refuses a threshold of %s', async (channelThreshold) => {
    expect(await refusalOf({ world: { channelThreshold } })).toBe('metadata-malformed');
  });

  it('takes two signatures of two', async () => {
    expect((await lab.run()).status).toBe(0);
  });

  it('refuses a built-in root that its own keys have not signed', async () => {
    const world = await createSignedWorld(lab.keys);
    const tufRoot = await signed(rootOf(createKeys(), { version: 1, expiresMs: FUTURE_MS }), lab.keys.root);
    const outcome = await lab.run({ settings: { tufRoot } });
    expect(outcome.stopCode, String(world.release.digest)).toBe('metadata-signature');
  });
});

describe('root metadata goes forward one version at a time, by the keys before it', () => {
  const nextRoot = async (version: number, keys = lab.keys, signers = lab.keys.root) =>
    signed(rootOf(keys, { version, expiresMs: FUTURE_MS }), signers);
  const withRoot = async (bytes: Uint8Array) => {
    const world = await createSignedWorld(lab.keys);
    return served('2.root.json', bytes, world.files);
  };

  it('S5 refuses a root that only its own new keys signed', async () => {
    const stranger = createKeys();
    expect(await refusalOf(await withRoot(await nextRoot(2, stranger, stranger.root)))).toBe(
      'metadata-signature',
    );
  });

  it('S5 refuses a root that only the old keys signed', async () => {
    expect(await refusalOf(await withRoot(await nextRoot(2, createKeys())))).toBe('metadata-signature');
  });

  it('S5 refuses a root that skips a version', async () => {
    expect(await refusalOf(await withRoot(await nextRoot(3)))).toBe('metadata-version');
  });

  it('R1 refuses the root it has once more as the next one', async () => {
    expect(await refusalOf(await withRoot(await nextRoot(1)))).toBe('metadata-version');
  });

  it('S6 refuses to go on with an expired root', async () => {
    expect(await refusalOf({ world: { offlineExpiresMs: PAST_MS } })).toBe('metadata-expired');
  });
});

describe('metadata is what the metadata above it lists', () => {
  it('S6 refuses expired snapshot and timestamp', async () => {
    expect(await refusalOf({ world: { onlineExpiresMs: PAST_MS } })).toBe('metadata-expired');
  });

  it('S6 takes the time that stage-0 was built for the earliest', async () => {
    const scenario = { settings: { builtAt: FUTURE_MS / 1000 + 1 }, world: { onlineExpiresMs: FUTURE_MS } };
    expect(await refusalOf({ ...scenario, lies: { challenge: (p) => later(p) } })).toBe('metadata-expired');
  });

  it('refuses a file of other bytes than are listed, rightly signed as they are', async () => {
    const { files } = await createSignedWorld(lab.keys);
    const reordered = JSON.parse(text(files.get('1.channel-lab.json'))) as JsonObject;
    const bytes = asciiBytes(JSON.stringify(reordered));
    expect(await refusalOf(served('1.channel-lab.json', bytes, files))).toBe('metadata-hash');
  });

  it('refuses a longer file', async () => {
    const { files } = await createSignedWorld(lab.keys);
    const bytes = asciiBytes(`${text(files.get('1.snapshot.json'))}\n`);
    expect(await refusalOf(served('1.snapshot.json', bytes, files))).toBe('answer-too-large');
  });

  it('refuses an older channel than the snapshot lists', async () => {
    const old = await createSignedWorld(lab.keys);
    const world = await createSignedWorld(lab.keys, { version: 2 });
    const bytes = old.files.get('1.channel-lab.json') ?? new Uint8Array();
    expect(
      await refusalOf({ ...served('2.channel-lab.json', bytes, world.files), world: { version: 2 } }),
    ).toBe('metadata-hash');
  });

  it('refuses a channel whose version is not the listed one', async () => {
    const channel = (document: JsonObject) => ({ ...document, version: 7 });
    expect(await refusalOf({ world: { channel } })).toBe('metadata-version');
  });

  it('refuses a snapshot that does not list the channel', async () => {
    const snapshot = (document: JsonObject) => {
      const { 'channel-lab.json': _gone, ...meta } = document.meta as JsonObject;
      return { ...document, meta };
    };
    expect(await refusalOf({ world: { snapshot } })).toBe('metadata-unlisted');
  });

  it('R1 refuses to go back below what this boot has seen', async () => {
    const old = await createSignedWorld(lab.keys);
    const fresh = await createSignedWorld(lab.keys, { version: 2 });
    let attempts = 0;
    const outcome = await lab.run({
      settings: { retryAttempts: 3 },
      lies: {
        tuf: (name) => (attempts < 2 ? fresh : old).files.get(name),
        challenge: (payload) => {
          attempts += 1;
          return payload;
        },
        artifact: (response) => void response.writeHead(503).end(),
        release: () => fresh.release,
      },
    });
    expect(outcome.stopCode, outcome.console).toBe('metadata-rollback');
    expect(outcome.pcr14).toBe(POISONED);
  });

  it('waits when nothing was published yet, and gives up after its attempts', async () => {
    const { files } = await createSignedWorld(lab.keys);
    const tuf = (name: string) => (name === 'timestamp.json' ? undefined : files.get(name));
    const outcome = await lab.run({ lies: { tuf } });
    expect(outcome.marks.map(({ values }) => values.code)).toContain('metadata-missing');
  });
});

describe('metadata can be read in one way only', () => {
  const edited = async (edit: (document: string) => string) => {
    const { files } = await createSignedWorld(lab.keys);
    return served('timestamp.json', asciiBytes(edit(text(files.get('timestamp.json')))), files);
  };
  it.each<[string, (document: string) => string]>([
    ['S12 a byte-order mark', (document) => `\xef\xbb\xbf${document}`],
    ['S12 text beyond ASCII', (document) => document.replace('1.0.31', '1.0.31\xe9')],
    ['S8 an escape for a control character', (document) => document.replace('1.0.31', '1.0.31\\u0007')],
    ['S8 a fraction', (document) => document.replace('"version": 1', '"version": 1.5')],
    [
      'S11 an integer past 2^53',
      (document) => document.replace('"version": 1', '"version": 9007199254740993'),
    ],
    ['R8 a version as text', (document) => document.replace('"version": 1', '"version": "1"')],
    ['R11 a version of 0', (document) => document.replace('"version": 1', '"version": 0')],
    ['a second document', (document) => `${document}{}`],
    ['no document', () => ''],
    ['another type', (document) => document.replace('"timestamp"', '"snapshot"')],
    ['another specification', (document) => document.replace('1.0.31', '2.0.0')],
    ['an expiry without a time', (document) => document.replace(/T\d\d:\d\d:\d\dZ/, '')],
  ])('refuses %s', async (_what, edit) => {
    expect(await refusalOf(await edited(edit))).toBe('metadata-malformed');
  });

  const expires = (text: string) => (document: string) =>
    document.replace(/"expires": "[^"]*"/, `"expires": "${text}"`);
  const specVersion = (text: string) => (document: string) => document.replace('1.0.31', text);

  it.each([...EXPIRES_REFUSED.map(expires), ...SPEC_VERSIONS_REFUSED.map(specVersion)])(
    'refuses what the server refuses %#',
    async (edit) => expect(await refusalOf(await edited(edit))).toBe('metadata-malformed'),
  );

  // Read, and then found to have another signature.
  it.each([...EXPIRES_TAKEN.map(expires), ...SPEC_VERSIONS_TAKEN.map(specVersion)])(
    'reads what the server reads %#',
    async (edit) => {
      const changed = await edited((document) => edit(document).replace('"version": 1,', '"version": 2,'));
      expect(await refusalOf(changed)).toBe('metadata-signature');
    },
  );

  it('S9 uses nothing but what was signed when a key stands there twice', async () => {
    const forged = (document: string) =>
      document.replace('"signed": {', '"signed": {"version": 9},\n "signed": {');
    expect((await lab.run(await edited(forged))).status).toBe(0);
    const hidden = (document: string) => document.replace('"version": 1,', '"version": 1, "version": 9,');
    expect(await refusalOf(await edited(hidden))).toBe('metadata-signature');
  });
});

describe('P13 the server chooses among what the release keys listed, and nothing else', () => {
  it.each<[string, string, (release: JsonObject) => JsonObject]>([
    ['another channel', 'channel-not-delegated', (release) => ({ ...release, channel: 'other' })],
    ['another version', 'release-not-listed', (release) => ({ ...release, version: 2 })],
    ['another digest', 'release-not-listed', (release) => ({ ...release, digest: '0'.repeat(64) })],
    ['a channel that is a path', 'answer-malformed', (release) => ({ ...release, channel: '../lab' })],
    ['a version that is text', 'answer-malformed', (release) => ({ ...release, version: '1' })],
  ])('refuses %s', async (_what, code, release) => {
    expect(await refusalOf({ lies: { release } })).toBe(code);
  });

  it('refuses a role that may speak for more than its channel', async () => {
    const targets = (document: JsonObject) => {
      const { delegations } = document as { delegations: { roles: { paths: string[] }[] } };
      for (const role of delegations.roles) role.paths = ['*'];
      return document;
    };
    expect(await refusalOf({ world: { targets } })).toBe('channel-not-delegated');
  });
});

it('the canonical form of the agent is that of TUF', async () => {
  const world = { offlineExpiresMs: FUTURE_MS };
  const { files } = await createSignedWorld(lab.keys, world);
  const { signed: document } = JSON.parse(text(files.get('1.root.json'))) as { signed: JsonObject };
  const outcome = await lab.run({ world });
  expect(outcome.status).toBe(0);
  expect(readFileSync(join(lab.folder, 'run/tuf/root.signed'), 'latin1')).toBe(canonicalize(document));
});

function later(payload: JsonObject): JsonObject {
  return { ...payload, iat: FUTURE_MS / 1000, exp: FUTURE_MS / 1000 + 120 };
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('latin1');
}
