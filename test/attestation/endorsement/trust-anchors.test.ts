import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findPath } from '../../../src/attestation/endorsement/ek-path.ts';
import { verifyIssuerKey } from '../../../src/attestation/endorsement/ek-signature-strength.ts';
import {
  adoptPinnedRoots,
  describeTrustAnchors,
  type PinnedRoot,
  parsePinnedRoots,
} from '../../../src/attestation/endorsement/trust-anchor-pins.ts';
import {
  mergeTrustAnchors,
  parseTrustAnchors,
  type TrustAnchors,
} from '../../../src/attestation/endorsement/trust-anchors.ts';
import type { Certificate } from '../../../src/attestation/x509/x509.ts';
import { loadTpmVendors } from '../../../src/boot-server/tpm-vendors.ts';
import { asciiBytes, sha256, toHex } from '../../../src/core/bytes.ts';
import { issueCrl } from '../x509/crl-maker.ts';
import { type Authority, createAuthority, KeyUsageFlags, NOW_MS } from './certificate-maker.ts';

const SIGNS = { keyUsage: KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign };
const PINS = parsePinnedRoots(readFileSync('keys/tpm-vendors.json'));
const anchorsOf = (...authorities: Authority[]) =>
  mergeTrustAnchors(authorities.map(({ certificate }) => parseTrustAnchors(certificate)));
const pinOf = ({ name, certificate }: Authority): PinnedRoot => ({
  vendor: 'Maker',
  subject: `CN=${name}`,
  sha256: toHex(sha256(certificate)),
});

describe('pinned roots', () => {
  it('say which of the roots are known, which are not, and which are known in another form', async () => {
    const [known, renewed, other] = [
      await createAuthority('Known'),
      await createAuthority('Known'),
      await createAuthority('Other'),
    ];
    expect(
      describeTrustAnchors(anchorsOf(known, renewed, other), [pinOf(known)]).map(({ status, vendor }) => [
        status,
        vendor,
      ]),
    ).toEqual([
      ['known', 'Maker'],
      ['different', 'Maker'],
      ['unknown', undefined],
    ]);
  });

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
    '{"roots":[{"vendor":"a","subject":"b","sha256":"AB"}]}',
    '{"roots":',
  ])('are an error when they cannot be read: %s', (text) => {
    expect(() => parsePinnedRoots(asciiBytes(text))).toThrow();
  });

  it('are each pinned once', () => {
    expect(PINS.length).toBe(26);
    expect(new Set(PINS.map((pin) => pin.sha256)).size).toBe(26);
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
    const anchors = await loadTpmVendors([folder]);
    expect([anchors.roots.length, anchors.intermediates.length, anchors.revocationLists.length]).toEqual([
      1, 0, 1,
    ]);
  });

  it('E6 stop the start, by name, when a CRL is of nobody there', async () => {
    await writeFile(join(folder, 'a.crl'), await issueCrl(await createAuthority('Root', undefined, SIGNS)));
    await expect(loadTpmVendors([folder])).rejects.toMatchObject({
      code: 'tpm-vendors-unreadable',
      message: expect.stringContaining('a.crl'),
    });
    await expect(loadTpmVendors([join(folder, 'missing')])).rejects.toMatchObject({
      code: 'tpm-vendors-unreadable',
    });
  });
});

const BUNDLES = '../shared/corpora/loicsikidi/tpm-ca-certificates';
const KEYLIME = '../shared/corpora/keylime/keylime/tpm_cert_store';

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

    it('26 published roots are all pinned and strong, and 143 intermediates all lead to one', () => {
      const anchors = published();
      expect([anchors.roots.length, anchors.intermediates.length]).toEqual([26, 143]);
      expect(describeTrustAnchors(anchors, PINS).every(({ status }) => status === 'known')).toBe(true);
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
