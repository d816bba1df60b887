import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { findPath } from '../../../src/attestation/endorsement/ek-path.ts';
import { verifyIssuerKey } from '../../../src/attestation/endorsement/ek-signature-strength.ts';
import {
  assembleTrustAnchors,
  splitBundle,
} from '../../../src/attestation/endorsement/trust-anchor-bundle.ts';
import {
  describeTrustAnchors,
  missingConsent,
} from '../../../src/attestation/endorsement/trust-anchor-description.ts';
import {
  adoptPinnedRoots,
  type PinnedRoot,
  parsePinnedRoots,
} from '../../../src/attestation/endorsement/trust-anchor-pins.ts';
import {
  addRevocationLists,
  mergeTrustAnchors,
  NO_TRUST_ANCHORS,
  parseTrustAnchors,
  type TrustAnchors,
} from '../../../src/attestation/endorsement/trust-anchors.ts';
import type { Certificate } from '../../../src/attestation/x509/x509.ts';
import { assembleTpmVendors, loadTpmVendors } from '../../../src/boot-server/tpm-vendors.ts';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import {
  type Authority,
  createAuthority,
  issueEk,
  KeyUsageFlags,
  rawExtension,
} from '../../../src/fleet-sim/chip/manufacturer.ts';
import { CORPORA } from '../../corpora.ts';
import { crlPem, issueCrl, NEXT_UPDATE, REVOKED } from '../x509/crl-maker.ts';
import { createEk, NOW_MS } from './certificate-maker.ts';

const SIGNS = { keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign };
const PINS = parsePinnedRoots(readFileSync('keys/tpm-vendors.json'));
const anchorsOf = (...authorities: Authority[]) =>
  mergeTrustAnchors(authorities.map(({ certificate }) => parseTrustAnchors(certificate)));
const pinOf = ({ name, certificate }: Authority): PinnedRoot => ({
  vendor: 'Maker',
  subject: `CN=${name}`,
  sha256: toHex(sha256(certificate)),
  publishedAt: 'https://example.com/root.crt',
});

/** By openssl: @peculiar/x509 makes no key that short. */
function selfSigned(key: string): Uint8Array {
  const options = ['-config', '/dev/null', '-batch', '-nodes', '-keyout', '/dev/null', '-days', '9000'];
  const args = ['req', '-x509', '-newkey', key, '-subj', '/CN=Weak', ...options, '-outform', 'DER'];
  const ca = ['-addext', 'basicConstraints=critical,CA:true'];
  return new Uint8Array(execFileSync('openssl', [...args, ...ca], { stdio: ['ignore', 'pipe', 'ignore'] }));
}

const describeAll = (anchors: TrustAnchors, pins: readonly PinnedRoot[]) =>
  describeTrustAnchors(anchors, pins, NOW_MS);
const standings = (anchors: TrustAnchors, pins: readonly PinnedRoot[]) =>
  describeAll(anchors, pins).map(({ role, status, vendor }) => [role, status, vendor]);
const hashOf = ({ certificate }: Authority) => toHex(sha256(certificate));

describe('trust anchors, as operators see them', () => {
  it('are known, different or unknown roots', async () => {
    const [known, renewed, other] = [
      await createAuthority('Known'),
      await createAuthority('Known'),
      await createAuthority('Other'),
    ];
    expect(standings(anchorsOf(known, renewed, other), [pinOf(known)])).toEqual([
      ['root', 'known', 'Maker'],
      ['root', 'different', 'Maker'],
      ['root', 'unknown', undefined],
    ]);
  });

  it('E2 a name that only looks different is the name of the pinned root', async () => {
    const root = await createAuthority('known   ROOT');
    const pin = { ...pinOf(root), subject: 'CN=Known Root', sha256: 'ab'.repeat(32) };
    expect(standings(anchorsOf(root), [pin])).toEqual([['root', 'different', 'Maker']]);
    expect(describeAll(anchorsOf(root), [pin])[0]?.notes.join()).toContain(pin.publishedAt);
  });

  it('are other CAs with the standing of the root they lead to, and CRLs with that of their CA', async () => {
    const root = await createAuthority('Root', undefined, SIGNS);
    const below = await createAuthority('Below', root);
    const alone = await createAuthority('Alone', await createAuthority('Elsewhere'));
    const anchors = addRevocationLists(anchorsOf(root, below, alone), await issueCrl(root));
    expect(standings(anchors, [pinOf(root)])).toEqual([
      ['root', 'known', 'Maker'],
      ['intermediate', 'known', 'Maker'],
      ['intermediate', 'unanchored', undefined],
      ['crl', 'known', 'Maker'],
    ]);
    expect(describeAll(anchors, [])[2]?.notes).toEqual([expect.stringContaining('leads to no root here')]);
  });

  it('say what limits their use', async () => {
    const dates = { notAfter: new Date('2021-01-01T00:00:00Z') };
    const expired = await createAuthority('Expired', undefined, { ...SIGNS, ...dates });
    const future = await createAuthority('Future', undefined, { notBefore: new Date('2030-01-01') });
    const lists = [
      await issueCrl(expired, { nextUpdate: new Date('2026-11-02T00:00:00Z') }),
      await issueCrl(expired, {
        nextUpdate: null,
        entries: [REVOKED],
        extensions: [rawExtension('1.2.3.4', true, new Uint8Array([5, 0]))],
      }),
      await issueCrl(expired),
    ];
    const anchors = lists.reduce(addRevocationLists, anchorsOf(expired, future));
    const notes = describeAll(anchors, []).map((entry) => [entry.endsAtMs, entry.notes.join('; ')]);
    expect(notes).toEqual([
      [dates.notAfter.getTime(), expect.stringContaining('expired')],
      [expect.any(Number), 'not valid yet'],
      [Date.UTC(2026, 10, 2), 'lists 0 certificates; not current: what it does not list proves nothing'],
      [
        undefined,
        'lists 1 certificates; not current: what it does not list proves nothing; covers some certificates or reasons only',
      ],
      [NEXT_UPDATE.getTime(), 'lists 0 certificates'],
    ]);
  });

  it('E8 say when a key is so weak that they certify nothing', () => {
    const [ca] = parseTrustAnchors(selfSigned('rsa:1024')).roots;
    const [description] = describeAll({ ...NO_TRUST_ANCHORS, roots: ca === undefined ? [] : [ca] }, []);
    expect(description?.notes[0]).toMatch(/^certifies nothing: .*rsa 1024/);
  });

  it('E2 need a word of the operator for roots that nobody pinned, by hash where a name is taken', async () => {
    const [known, renewed, other] = [
      await createAuthority('Known'),
      await createAuthority('Known'),
      await createAuthority('Other'),
    ];
    const below = await createAuthority('Below', other);
    const added = describeAll(anchorsOf(known, renewed, other, below), [pinOf(known)]);
    const missing = (acceptUnknown: boolean, ...acceptDifferent: string[]) =>
      missingConsent(added, { acceptUnknown, acceptDifferent }).map(({ subject }) => subject);
    expect(missing(false)).toEqual(['CN=Known', 'CN=Other']);
    expect(missing(true)).toEqual(['CN=Known']);
    expect(missing(true, hashOf(known), hashOf(other))).toEqual(['CN=Known']);
    expect(missing(true, hashOf(renewed))).toEqual([]);
    expect(missing(false, hashOf(renewed))).toEqual(['CN=Other']);
  });
});

describe('a bundle', () => {
  it('holds certificates and CRLs in any order, and none twice', async () => {
    const root = await createAuthority('Root', undefined, SIGNS);
    const crl = await issueCrl(root);
    const pem = Buffer.from(root.certificate).toString('base64');
    const certificate = `-----BEGIN CERTIFICATE-----\n${pem}\n-----END CERTIFICATE-----\n`;
    const text = `${Buffer.from(crlPem(crl)).toString()}a title\n${certificate}${certificate}`;
    const items = splitBundle(asciiBytes(text));
    expect(items.map(({ kind, sha256: name }) => [kind, name])).toEqual([
      ['crl', toHex(sha256(crl))],
      ['certificate', hashOf(root)],
    ]);
    expect(splitBundle(crl)).toEqual(items.slice(0, 1));
    expect(splitBundle(root.certificate)).toEqual(items.slice(1));
    expect(assembleTrustAnchors(items, []).revocationLists).toHaveLength(1);
  });

  it('names what is no CA certificate by its hash when it came without a file', async () => {
    const { publicKey } = await createEk();
    const leaf = await issueEk(publicKey, await createAuthority('Root'));
    expect(() => assembleTrustAnchors(splitBundle(leaf), [])).toThrow(
      expect.objectContaining({ message: expect.stringContaining(`${toHex(sha256(leaf))}: certificate 1`) }),
    );
  });

  it.each([
    '',
    'text',
    '-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----',
    '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n',
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
  ])('E12 of something else is refused as a whole: %j', (text) => {
    const assemble = () => assembleTrustAnchors(splitBundle(asciiBytes(text)), []);
    expect(assemble).toThrow(expect.objectContaining({ code: 'trust-anchors-invalid' }));
  });
});

describe('pinned roots', () => {
  it('end a path also when another CA has signed them', async () => {
    const above = await createAuthority('Above');
    const pinned = await createAuthority('Pinned', above);
    const below = await createAuthority('Below', pinned);
    const anchors = anchorsOf(pinned, below);
    expect(anchors.roots).toEqual([]);
    const adopted = adoptPinnedRoots(anchors, [pinOf(pinned)]);
    expect(adopted.roots.map(({ subject }) => subject)).toEqual(['CN=Pinned']);
    expect(adopted.intermediates.map(({ subject }) => subject)).toEqual(['CN=Below']);
  });

  it.each([
    '[]',
    '{}',
    '{"roots":[1]}',
    '{"roots":[{"vendor":"a","subject":"b"}]}',
    '{"roots":[{"vendor":"a","subject":"b","sha256":"AB","publishedAt":"c"}]}',
    `{"roots":[{"vendor":"a","subject":"b","sha256":"${'ab'.repeat(32)}"}]}`,
    '{"roots":',
  ])('are an error when they cannot be read: %s', (text) => {
    expect(() => parsePinnedRoots(asciiBytes(text))).toThrow();
  });

  it('are each pinned once', () => {
    expect(PINS.length).toBe(33);
    expect(new Set(PINS.map((pin) => pin.sha256)).size).toBe(33);
  });
});

describe('folders of manufacturers', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tpm-vendors-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('hold certificates and CRLs, in any order of names, and other files', async () => {
    const root = await createAuthority('Root', undefined, SIGNS);
    await writeFile(join(folder, 'a.crl'), await issueCrl(root));
    await writeFile(join(folder, 'z.der'), root.certificate);
    await writeFile(join(folder, 'README.md'), 'text');
    const anchors = assembleTpmVendors(await loadTpmVendors([folder]), []);
    expect([anchors.roots.length, anchors.intermediates.length, anchors.revocationLists.length]).toEqual([
      1, 0, 1,
    ]);
  });

  it('E6 stop the start, by name, when a CRL is of nobody there', async () => {
    await writeFile(join(folder, 'a.crl'), await issueCrl(await createAuthority('Root', undefined, SIGNS)));
    const items = await loadTpmVendors([folder]);
    expect(() => assembleTpmVendors(items, [])).toThrow(
      expect.objectContaining({
        code: 'tpm-vendors-unreadable',
        message: expect.stringContaining('a.crl'),
      }),
    );
    await writeFile(join(folder, 'b.CER'), 'text');
    await expect(loadTpmVendors([folder])).rejects.toMatchObject({
      code: 'tpm-vendors-unreadable',
      message: expect.stringContaining('b.CER'),
    });
    await expect(loadTpmVendors([join(folder, 'missing')])).rejects.toMatchObject({
      code: 'tpm-vendors-unreadable',
    });
  });
});

const BUNDLES = `${CORPORA}/loicsikidi/tpm-ca-certificates`;
const KEYLIME = `${CORPORA}/keylime/keylime/tpm_cert_store`;

const GOOGLE = `${CORPORA}/google/go-tpm-tools/server/ca-certs`;

/** The list that github.com/loicsikidi/tpm-ca-certificates is made from. */
interface PublishedRoots {
  vendors: {
    name: string;
    certificates: { url: string; validation: { fingerprint: { sha1?: string; sha256?: string } } }[];
  }[];
}

/** What our rules say of every CA, as if it were the leaf: the subjects by the reason. */
function refusedOf(cas: readonly Certificate[], anchors: TrustAnchors): Record<string, string[]> {
  const refused: Record<string, string[]> = {};
  for (const ca of cas)
    try {
      findPath(ca, { anchors, nowMs: NOW_MS });
    } catch (cause) {
      const { code } = cause as { code: string };
      refused[code] = [...(refused[code] ?? []), /CN=([^,+]+)/.exec(ca.subject)?.[1] ?? ca.subject];
    }
  return refused;
}

describe.skipIf(!existsSync(BUNDLES) || !existsSync(KEYLIME))(
  'CAs of manufacturers (skipped without ../shared/corpora)',
  () => {
    const published = () =>
      adoptPinnedRoots(
        mergeTrustAnchors(
          ['MIRROR.tpm-ca-certificates.pem', 'MIRROR.tpm-intermediate-ca-certificates.pem'].map((name) =>
            parseTrustAnchors(readFileSync(join(BUNDLES, name))),
          ),
        ),
        PINS,
      );
    const keylime = () =>
      mergeTrustAnchors(
        readdirSync(KEYLIME).map((name) => parseTrustAnchors(readFileSync(join(KEYLIME, name)))),
      );

    it('the pins are what their sources say: vendor, address and fingerprint, and none is missing', () => {
      const { vendors } = parse(readFileSync(join(BUNDLES, '.tpm-roots.yaml'), 'utf8')) as PublishedRoots;
      const listed = vendors.flatMap(({ name, certificates }) =>
        certificates.map(({ url, validation: { fingerprint } }) => ({ name, url, fingerprint })),
      );
      for (const { name, url, fingerprint } of listed) {
        const pin = PINS.find(({ publishedAt }) => publishedAt === url);
        const ca = published().roots.find(({ der }) => toHex(sha256(der)) === pin?.sha256);
        const computed = fingerprint.sha256 === undefined ? ca?.node.fingerprint : ca?.node.fingerprint256;
        expect([pin?.vendor, computed], url).toEqual([name, fingerprint.sha256 ?? fingerprint.sha1]);
      }
      expect(listed.length).toBe(26);
      const others = [KEYLIME, GOOGLE].flatMap((folder) =>
        readdirSync(folder).map((name) => parseTrustAnchors(readFileSync(join(folder, name)))),
      );
      const all = adoptPinnedRoots(mergeTrustAnchors([published(), ...others]), PINS);
      expect(
        describeAll(all, PINS).filter(({ role, status }) => role === 'root' && status !== 'known'),
      ).toEqual([]);
      expect(new Set(all.roots.map(({ node }) => node.fingerprint256)).size).toBe(PINS.length);
    });

    it('26 published roots are all pinned and strong, and 143 intermediates all lead to one', () => {
      const anchors = published();
      expect([anchors.roots.length, anchors.intermediates.length]).toEqual([26, 143]);
      expect(describeAll(anchors, PINS).every(({ status }) => status === 'known')).toBe(true);
      for (const { subject, node } of anchors.roots) verifyIssuerKey(subject, node.publicKey);
      expect(refusedOf(anchors.intermediates, anchors)).toEqual({});
    });

    it('51 files of Keylime are read; those refused are signed with SHA-1 or lack the CA above', () => {
      const anchors = keylime();
      expect(readdirSync(KEYLIME).length).toBe(51);
      expect([anchors.roots.length, anchors.intermediates.length]).toEqual([11, 34]);
      const all = adoptPinnedRoots(mergeTrustAnchors([anchors, published()]), PINS);
      expect(refusedOf(anchors.intermediates, all)).toEqual({
        'ek-certificate-signature-weak': [
          '01',
          '15',
          '02',
          '03',
          '04',
          '05',
          '08',
          '17',
          '18',
          '20',
          '21',
        ].map((number) => `IFX TPM EK Intermediate CA ${number}`),
        'ek-certificate-untrusted': [
          'Aliyun TPM EKMF CA',
          'IFX TPM EK Root CA',
          'Nationz TPM Manufacturing CA 001',
        ],
      });
    });
  },
);
