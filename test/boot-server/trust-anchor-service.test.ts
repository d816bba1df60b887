import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { splitBundle } from '../../src/attestation/endorsement/trust-anchor-bundle.ts';
import type { TrustAnchorStore } from '../../src/attestation/endorsement/trust-anchor-store.ts';
import { type AnchorFolder, openAnchorFolder } from '../../src/boot-server/anchor-folder.ts';
import {
  createTrustAnchorService,
  type TrustAnchorService,
} from '../../src/boot-server/services/trust-anchors.ts';
import { sha256, toHex } from '../../src/core/bytes.ts';
import {
  type Authority,
  createAuthority,
  issueEk,
  KeyUsageFlags,
} from '../../src/fleet-sim/chip/manufacturer.ts';
import { createEk, NOW_MS } from '../attestation/endorsement/certificate-maker.ts';
import { crlPem, issueCrl } from '../attestation/x509/crl-maker.ts';

const SIGNS = { keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign };
const ALL = { acceptUnknown: true, acceptDifferent: [] };
const CONFIGURED = '/etc/vendors';

let path: string;
let folder: AnchorFolder;
let store: TrustAnchorStore & {
  events: string[];
  ekCertificates: { nodeId: string; certificate: Uint8Array }[];
};
let [root, below, other, twin]: Authority[] = [];

beforeAll(async () => {
  root = await createAuthority('Root', undefined, SIGNS);
  below = await createAuthority('Below', root);
  other = await createAuthority('Other', undefined, SIGNS);
  twin = await createAuthority('Root');
});

beforeEach(async () => {
  path = await mkdtemp(join(tmpdir(), 'anchors-'));
  folder = await openAnchorFolder(path);
  const events: string[] = [];
  const ekCertificates: { nodeId: string; certificate: Uint8Array }[] = [];
  store = {
    events,
    ekCertificates,
    listEkCertificates: async () => ekCertificates,
    recordEvents: async (added) => {
      events.push(...added.map(({ kind, subject }) => `${kind} ${subject}`));
    },
  };
});

afterEach(() => rm(path, { recursive: true }));

const derOf = (authority: Authority | undefined) => authority?.certificate ?? new Uint8Array(0);
const hashOf = (authority: Authority | undefined) => toHex(sha256(derOf(authority)));

function serve(given: Partial<Parameters<typeof createTrustAnchorService>[0]> = {}) {
  const clock = { nowMs: () => NOW_MS };
  const pins = [
    { vendor: 'Maker', subject: 'CN=Root', sha256: hashOf(root), publishedAt: 'https://example.com' },
  ];
  return createTrustAnchorService({ configured: [], folder, pins, store, clock, ...given });
}

function pem(...ders: Uint8Array[]): Uint8Array {
  const blocks = ders.map(
    (der) =>
      `-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`,
  );
  return Buffer.from(blocks.join(''));
}

const summary = (service: TrustAnchorService) =>
  service.list().map(({ role, status, source }) => `${role} ${status} ${source}`);

describe('trust anchors', () => {
  test('that are pinned are added without a question, with what lies below them', async () => {
    const service = await serve();
    const before = service.current();
    const { added, known } = await service.add({
      bundle: pem(derOf(below), derOf(root)),
      acceptUnknown: false,
      acceptDifferent: [],
    });
    expect([added.length, known]).toEqual([2, 0]);
    expect(summary(service)).toEqual(['root known operator', 'intermediate known operator']);
    expect(service.current().revision).toBeGreaterThan(before.revision);
    expect(before.anchors.roots, 'who decides now keeps what it began with').toEqual([]);
    expect(store.events).toEqual([root, below].map((ca) => `trust-anchor-added ${hashOf(ca)}`));
    expect(summary(await serve()), 'after a restart').toEqual(summary(service));
    expect((await service.add({ ...ALL, bundle: derOf(root) })).known).toBe(1);
  });

  test('E2 that nobody pinned, or that take a pinned name, are not added without a word', async () => {
    const service = await serve();
    for (const [ca, consent, added] of [
      [other, { acceptUnknown: false, acceptDifferent: [hashOf(other)] }, false],
      [twin, { acceptUnknown: true, acceptDifferent: [hashOf(root)] }, false],
      [twin, { acceptUnknown: false, acceptDifferent: [hashOf(twin)] }, true],
      [other, { acceptUnknown: true, acceptDifferent: [] }, true],
    ] as const) {
      const files = (await readdir(path)).length;
      const answer = service.add({ ...consent, bundle: pem(derOf(root), derOf(ca)) });
      if (added) await answer;
      else
        await expect(answer).rejects.toMatchObject({
          code: 'trust-anchors-refused',
          members: { roots: [expect.objectContaining({ sha256: hashOf(ca) })] },
        });
      expect((await readdir(path)).length > files).toBe(added);
    }
  });

  test('E12 of a bundle with something else in it none is added', async () => {
    const service = await serve();
    const { publicKey } = await createEk();
    const leaf = await issueEk(publicKey, root as Authority);
    for (const bundle of [
      pem(derOf(other), leaf),
      Buffer.from('text'),
      crlPem(await issueCrl(root as Authority)),
    ])
      await expect(service.add({ ...ALL, bundle })).rejects.toMatchObject({ code: 'trust-anchors-invalid' });
    expect([await readdir(path), store.events, service.current().revision]).toEqual([[], [], 1]);
  });

  test('of the configuration are not ours to remove; what operators added is', async () => {
    const [item] = splitBundle(derOf(root));
    const configured = item === undefined ? [] : [{ ...item, folder: CONFIGURED, file: 'root.pem' }];
    const service = await serve({ configured });
    await service.add({ ...ALL, bundle: derOf(other) });
    expect(summary(service).toSorted()).toEqual(['root known config', 'root unknown operator']);
    const removal = service.remove({ sha256: hashOf(root) });
    await expect(removal).rejects.toMatchObject({
      code: 'trust-anchor-configured',
      message: expect.stringMatching(/\/etc\/vendors.*root\.pem/),
    });
    await service.remove({ sha256: hashOf(other) });
    expect(summary(service)).toEqual(['root known config']);
    expect(await readdir(path)).toEqual([]);
    expect(store.events.at(-1)).toBe(`trust-anchor-removed ${hashOf(other)}`);
    await expect(service.remove({ sha256: hashOf(other) })).rejects.toMatchObject({
      code: 'trust-anchor-unknown',
    });
  });

  test('E6 that a CRL needs stay until the CRL is gone', async () => {
    const service = await serve();
    const crl = await issueCrl(root as Authority);
    await service.add({ ...ALL, bundle: Buffer.concat([crlPem(crl), pem(derOf(root))]) });
    expect(summary(service)).toEqual(['root known operator', 'crl known operator']);
    expect(summary(await serve()), 'after a restart').toEqual(summary(service));
    await expect(service.remove({ sha256: hashOf(root) })).rejects.toMatchObject({
      code: 'trust-anchor-in-use',
    });
    await service.remove({ sha256: toHex(sha256(crl)) });
    await service.remove({ sha256: hashOf(root) });
    expect(service.current().anchors).toEqual({ roots: [], intermediates: [], revocationLists: [] });
  });

  test('E2 that go are said with the nodes that only they vouched for', async () => {
    const { publicKey } = await createEk();
    const service = await serve();
    await service.add({ ...ALL, bundle: pem(derOf(root), derOf(below), derOf(other)) });
    store.ekCertificates.push(
      { nodeId: 'n-below', certificate: await issueEk(publicKey, below as Authority) },
      { nodeId: 'n-other', certificate: await issueEk(publicKey, other as Authority) },
      { nodeId: 'n-lost-before', certificate: await issueEk(publicKey, twin as Authority) },
    );
    const { nodesWithoutPath } = await service.remove({ sha256: hashOf(below) });
    expect(nodesWithoutPath).toEqual(['n-below']);
    expect((await service.remove({ sha256: hashOf(root) })).nodesWithoutPath).toEqual([]);
  });

  test('are changed one after the other, also behind a change that failed', async () => {
    const service = await serve();
    const outcomes = await Promise.allSettled([
      service.add({ ...ALL, bundle: derOf(root) }),
      service.add({ ...ALL, bundle: Buffer.from('text') }),
      service.add({ ...ALL, bundle: pem(derOf(root), derOf(other)) }),
    ]);
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[2]).toMatchObject({ value: { known: 1 } });
    expect(summary(service)).toHaveLength(2);
  });
});

describe('what a crash leaves of trust anchors', () => {
  test('is the first files of a bundle, which are good by themselves', async () => {
    let saves = 0;
    const failing: AnchorFolder = {
      ...folder,
      save: async (item) => {
        saves += 1;
        if (saves === 3) throw new Error('no room');
        return folder.save(item);
      },
    };
    const service = await serve({ folder: failing });
    const crl = crlPem(await issueCrl(root as Authority));
    const bundle = Buffer.concat([crl, pem(derOf(root), derOf(other))]);
    await expect(service.add({ ...ALL, bundle })).rejects.toThrow('no room');
    expect(summary(service)).toEqual(['root known operator', 'root unknown operator']);
    expect(summary(await serve()).toSorted()).toEqual(summary(service));
    expect(store.events, 'nothing is in force that the log does not know').toHaveLength(3);
  });

  test('is nothing when the log cannot be written', async () => {
    const service = await serve({
      store: { ...store, recordEvents: () => Promise.reject(new Error('disk')) },
    });
    await expect(service.add({ ...ALL, bundle: derOf(root) })).rejects.toThrow('disk');
    expect([summary(service), await readdir(path)]).toEqual([[], []]);
  });

  test('is swept when it is half-written, and stops the start when it is damaged', async () => {
    await writeFile(join(path, `.bootward-${'ab'.repeat(12)}.tmp`), derOf(root).subarray(0, 100));
    folder = await openAnchorFolder(path);
    expect([await readdir(path), summary(await serve())]).toEqual([[], []]);
    await writeFile(join(path, `${hashOf(root)}.crt`), derOf(other));
    await expect(serve()).rejects.toMatchObject({
      code: 'tpm-vendors-unreadable',
      message: expect.stringContaining(`${hashOf(root)}.crt`),
    });
  });
});
