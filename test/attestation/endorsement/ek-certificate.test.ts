import { createPublicKey, webcrypto } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  ekFingerprint,
  verifyEkCertificate,
  verifyLoneEkCertificate,
} from '../../../src/attestation/endorsement/ek-certificate.ts';
import {
  mergeTrustAnchors,
  NO_TRUST_ANCHORS,
  parseTrustAnchors,
  type TrustAnchors,
} from '../../../src/attestation/endorsement/trust-anchors.ts';
import { unwrapNvCertificate } from '../../../src/attestation/quote/nv-certificate.ts';
import { asciiBytes, concatBytes, fromHex, sha256, toHex } from '../../../src/core/bytes.ts';
import {
  type Authority,
  type CertificateOptions,
  createAuthority,
  issueEk,
  KeyUsageFlags,
  rawExtension,
  TPM_NAME,
} from '../../../src/fleet-sim/chip/manufacturer.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import type { TpmPublic } from '../../../src/tpm/public-area.ts';
import { toSpki } from '../../../src/tpm/public-key.ts';
import { CORPORA } from '../../corpora.ts';
import { REAL_MODULUS } from '../keys/roca-modulus.ts';
import { createEk, NOW_MS } from './certificate-maker.ts';

let root: Authority;
let intermediate: Authority;
let ek: Awaited<ReturnType<typeof createEk>>;
let certificate: Uint8Array;
let anchors: TrustAnchors;

const anchorsOf = (...authorities: Authority[]) =>
  mergeTrustAnchors(authorities.map(({ certificate: der }) => parseTrustAnchors(der)));

beforeAll(async () => {
  root = await createAuthority('Root');
  intermediate = await createAuthority('Intermediate', root);
  ek = await createEk();
  certificate = await issueEk(ek.publicKey, intermediate);
  anchors = anchorsOf(root, intermediate);
});

/** Short form of length only. */
const der = (tag: number, ...contents: Uint8Array[]): Uint8Array => {
  const content = concatBytes(...contents);
  return concatBytes(Uint8Array.of(tag, content.length), content);
};

const verify = (changes: Partial<Parameters<typeof verifyEkCertificate>[0]> = {}) =>
  verifyEkCertificate({ certificate, ekPublic: ek.ekPublic, anchors, nowMs: NOW_MS, ...changes });
const codeOf = (action: () => unknown): string => {
  try {
    action();
    return 'accepted';
  } catch (cause) {
    return (cause as { code?: string }).code ?? String(cause);
  }
};
const codeWith = async (options: CertificateOptions, issuer = intermediate) => {
  const changed = await issueEk(ek.publicKey, issuer, options);
  return codeOf(() => verify({ certificate: changed }));
};
/** The path rules: another hierarchy under the same leaf. */
const codeUnder = async (hierarchy: Authority[], changes: { nowMs?: number } = {}) => {
  const [issuer] = hierarchy;
  if (issuer === undefined) throw new Error('no issuer');
  const leaf = await issueEk(ek.publicKey, issuer);
  return codeOf(() => verify({ certificate: leaf, anchors: anchorsOf(...hierarchy), ...changes }));
};

describe('EK certificates', () => {
  it('of an accepted manufacturer say which TPM this is', () => {
    expect(verify()).toEqual({
      fingerprint: toHex(sha256(toSpki(ek.ekPublic))),
      manufacturer: 'id:00001014',
      model: 'swtpm',
      version: 'id:20191023',
      certificate,
      certificateSha256: toHex(sha256(certificate)),
      notes: [
        { code: 'ek-crl-missing', message: 'no CRL of CN=Intermediate' },
        { code: 'ek-crl-missing', message: 'no CRL of CN=Root' },
      ],
      chainSubjects: [expect.any(String), 'CN=Intermediate', 'CN=Root'],
    });
    expect(verify().fingerprint).toBe(ekFingerprint(ek.ekPublic));
  });

  it('E2 of an unknown CA are refused, also one with the same name', async () => {
    const impostor = await createAuthority('Intermediate');
    expect(codeOf(() => verify({ anchors: anchorsOf(impostor) }))).toBe('ek-certificate-untrusted');
    expect(codeOf(() => verify({ anchors: anchorsOf(root) }))).toBe('ek-certificate-untrusted');
    expect(codeOf(() => verify({ anchors: NO_TRUST_ANCHORS }))).toBe('ek-trust-anchors-missing');
  });

  it.each<[string, CertificateOptions, CertificateOptions]>([
    ['an issuer that may not sign certificates', {}, { keyUsage: KeyUsageFlags.digitalSignature }],
    ['an issuer for other purposes', {}, { extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] }],
    ['a root for other purposes', { extendedKeyUsages: ['2.23.133.8.3'] }, {}],
    ['a path longer than its root allows', { pathLength: 0 }, {}],
    ['an expired issuer', {}, { notAfter: new Date('2021-01-01T00:00:00Z') }],
    ['an issuer that is not valid yet', {}, { notBefore: new Date('2030-01-01T00:00:00Z') }],
  ])('E4 are refused under %s', async (_name, rootOptions, intermediateOptions) => {
    const own = await createAuthority('Own root', undefined, rootOptions);
    const below = await createAuthority('Own intermediate', own, intermediateOptions);
    expect(await codeUnder([below, own])).toBe('ek-certificate-untrusted');
  });

  it.each(['2.23.133.8.1', '2.5.29.37.0'])(
    'are accepted under CAs whose purposes include %s',
    async (purpose) => {
      const options = { extendedKeyUsages: ['1.3.6.1.5.5.7.3.1', purpose] };
      const own = await createAuthority('Own root', undefined, options);
      expect(await codeUnder([await createAuthority('Own intermediate', own, options), own])).toBe(
        'accepted',
      );
    },
  );

  it('E4 are refused under a longer path than any manufacturer has', async () => {
    const hierarchy = [await createAuthority('CA 0')];
    for (let level = 1; level <= 5; level += 1)
      hierarchy.unshift(await createAuthority(`CA ${level}`, hierarchy[0]));
    expect(await codeUnder(hierarchy)).toBe('ek-certificate-untrusted');
    expect(await codeUnder(hierarchy.slice(1))).toBe('accepted');
  });

  it('E4 are accepted under an expired issuer only when the operator says so', async () => {
    const own = await createAuthority('Old root', undefined, { notAfter: new Date('2021-01-01T00:00:00Z') });
    const leaf = await issueEk(ek.publicKey, own);
    const input = { certificate: leaf, anchors: anchorsOf(own) };
    expect(codeOf(() => verify(input))).toBe('ek-certificate-untrusted');
    expect(verify({ ...input, acceptExpiredIssuers: true }).chainSubjects).toHaveLength(2);
  });

  it('E4 are accepted at the edge of the path length', async () => {
    const own = await createAuthority('Edge root', undefined, { pathLength: 1 });
    const below = await createAuthority('Edge intermediate', own, { pathLength: 0 });
    expect(await codeUnder([below, own])).toBe('accepted');
  });

  it('are refused under an issuer with an extension that is not understood', async () => {
    const policyConstraints = rawExtension('2.5.29.36', false, Uint8Array.of(0x30, 0x03, 0x80, 0x01, 0x00));
    const own = await createAuthority('Odd root', undefined, { extra: [policyConstraints] });
    expect(await codeUnder([own])).toBe('ek-certificate-extension');
  });

  it('find their way through loops and cross-signed issuers', async () => {
    const other = await createAuthority('Other root');
    const crossed: Authority = { ...(await createAuthority('Crossed', root)), name: 'Crossed' };
    const leaf = await issueEk(ek.publicKey, crossed);
    expect(
      codeOf(() => verify({ certificate: leaf, anchors: anchorsOf(other, root, crossed, intermediate) })),
    ).toBe('accepted');
  });

  it('E5 that have expired are accepted with a note, too early ones refused', async () => {
    const expired = await issueEk(ek.publicKey, intermediate, { notAfter: new Date('2024-01-01T00:00:00Z') });
    expect(verify({ certificate: expired }).notes).toContainEqual(
      expect.objectContaining({ code: 'ek-certificate-expired' }),
    );
    expect(await codeWith({ notBefore: new Date('2027-01-01T00:00:00Z') })).toBe(
      'ek-certificate-not-yet-valid',
    );
  });

  it('E8 of a key that is too short are refused', async () => {
    const weak = await createEk({ bits: 1024 });
    const leaf = await issueEk(weak.publicKey, intermediate);
    expect(codeOf(() => verify({ certificate: leaf, ekPublic: weak.ekPublic }))).toBe('ek-key-weak');
  });

  it('E9 are refused for another key than the one presented', async () => {
    const { ekPublic } = await createEk();
    expect(codeOf(() => verify({ ekPublic }))).toBe('ek-certificate-key-mismatch');
  });

  it('E9 are refused for a key that is no EK', async () => {
    const signing = await createEk({ attributes: attributesOf('fixedTPM', 'sign', 'restricted') });
    expect(codeOf(() => verify({ ekPublic: signing.ekPublic }))).toBe('ek-key-unsuitable');
    const both: TpmPublic = { ...ek.ekPublic, attributes: ek.ekPublic.attributes | attributesOf('sign') };
    expect(codeOf(() => verify({ ekPublic: both }))).toBe('ek-key-unsuitable');
    const { symmetric: _none, ...bare } = ek.ekPublic;
    expect(codeOf(() => verify({ ekPublic: bare as TpmPublic }))).toBe('ek-key-unsuitable');
  });

  it('E10 are refused without the EK purpose, or as CA certificates', async () => {
    expect(await codeWith({ extendedKeyUsages: ['1.3.6.1.5.5.7.3.1'] })).toBe('ek-certificate-purpose');
    expect(await codeWith({ extendedKeyUsages: [] })).toBe('ek-certificate-purpose');
    expect(await codeWith({ ca: true })).toBe('ek-certificate-is-ca');
    expect(await codeWith({ keyUsage: KeyUsageFlags.keyEncipherment | KeyUsageFlags.keyCertSign })).toBe(
      'ek-certificate-is-ca',
    );
  });

  it('are refused when key usage does not allow what an EK does', async () => {
    expect(await codeWith({ keyUsage: KeyUsageFlags.digitalSignature })).toBe('ek-certificate-key-usage');
    expect(await codeWith({ keyUsage: null })).toBe('ek-certificate-key-usage');
  });

  it('are refused with an unknown critical extension, and with one twice', async () => {
    const odd = (critical: boolean) => rawExtension('1.2.3.4', critical, Uint8Array.of(0x05, 0x00));
    expect(await codeWith({ extra: [odd(true)] })).toBe('ek-certificate-extension');
    expect(await codeWith({ extra: [odd(false)] })).toBe('accepted');
    expect(await codeWith({ extra: [odd(false), odd(false)] })).toMatch(
      /^ek-certificate-(extension|malformed)$/,
    );
  });

  it('are refused when signed with SHA-1', async () => {
    expect(await codeWith({ hash: 'SHA-1' })).toBe('ek-certificate-signature-weak');
  });

  it('without the names of the TPM are accepted with a note', async () => {
    const bare = await issueEk(ek.publicKey, intermediate, { directoryName: 'CN=something else' });
    expect(verify({ certificate: bare }).notes).toContainEqual(
      expect.objectContaining({ code: 'ek-certificate-no-tpm-model' }),
    );
    expect(await codeWith({ directoryName: `${TPM_NAME}, 2.23.133.2.1=id:FFFF` })).toBe(
      'ek-certificate-malformed',
    );
  });
});

describe('what an NV index holds', () => {
  it.each<[string, (der: Uint8Array) => Uint8Array]>([
    ['zero padding', (der) => concatBytes(der, new Uint8Array(300))],
    ['0xff padding', (der) => concatBytes(der, new Uint8Array(300).fill(0xff))],
    ['the 7-byte header', (der) => concatBytes(Uint8Array.of(0x10, 1, 0, 4, 0, 0x10, 2), der)],
  ])('E11 %s does not change the identity', (_name, wrap) => {
    expect(verify({ certificate: Uint8Array.from(wrap(certificate)) })).toEqual(verify());
  });

  it.each<[string, (der: Uint8Array) => Uint8Array]>([
    ['other bytes behind it', (der) => concatBytes(der, Uint8Array.of(0, 1))],
    ['nothing', () => new Uint8Array(0)],
    ['text', () => asciiBytes('-----BEGIN CERTIFICATE-----')],
    ['a cut off certificate', (der) => der.subarray(0, -1)],
    ['more than any certificate', () => new Uint8Array(9000)],
    ['a certificate of a few bytes', () => Uint8Array.of(0x30, 0x82, 0, 2, 5, 0)],
    ['a certificate that no parser takes', (der) => der.map((byte, index) => (index === 4 ? 0xff : byte))],
  ])('E12 %s gets an answer: refused', (_name, wrap) => {
    expect(codeOf(() => verify({ certificate: wrap(certificate) }))).toBe('ek-certificate-malformed');
  });

  it('E11b a key as id-RSAESOAEP gets a named refusal, never a fault', () => {
    const rsaEncryption = Buffer.from('06092a864886f70d010101', 'hex');
    const altered = Buffer.from(certificate);
    altered[altered.indexOf(rsaEncryption) + rsaEncryption.length - 1] = 0x07;
    expect(codeOf(() => verify({ certificate: altered }))).toBe('ek-certificate-key-unsupported');
  });

  it('E12 a SET out of order, as some manufacturers write it, is the same certificate', async () => {
    const [manufacturer, model, version] = ['01', '02', '03'].map((arc) => `67810502${arc}`);
    const attributes = [
      der(0x30, der(0x06, fromHex(version ?? '')), der(0x0c, asciiBytes('id:20191023'))),
      der(0x30, der(0x06, fromHex(model ?? '')), der(0x0c, asciiBytes('swtpm'))),
      der(0x30, der(0x06, fromHex(manufacturer ?? '')), der(0x0c, asciiBytes('id:00001014'))),
    ];
    for (const set of [attributes, attributes.toReversed()]) {
      const names = der(0x30, der(0xa4, der(0x30, der(0x31, ...set))));
      const extra = [rawExtension('2.5.29.17', true, new Uint8Array(names))];
      const written = await issueEk(ek.publicKey, intermediate, { directoryName: null, extra });
      expect(verify({ certificate: written })).toMatchObject({
        manufacturer: 'id:00001014',
        model: 'swtpm',
        version: 'id:20191023',
      });
    }
  });

  it('E12 every altered byte gets an answer', () => {
    for (let offset = 0; offset < certificate.length; offset += 7) {
      const altered = Uint8Array.from(certificate);
      altered[offset] = (altered[offset] ?? 0) ^ 0x55;
      expect(codeOf(() => verify({ certificate: altered }))).toMatch(/^ek-/);
    }
  });

  it('is a view on the same bytes', () => {
    expect(toHex(unwrapNvCertificate(concatBytes(certificate, new Uint8Array(9))))).toBe(toHex(certificate));
  });
});

describe('an EK certificate alone', () => {
  const verifyLone = (der: Uint8Array) =>
    verifyLoneEkCertificate({ certificate: der, anchors, nowMs: NOW_MS });

  it('is judged as with its TPM, but for the template of the key', async () => {
    expect(verifyLone(certificate)).toEqual(verify());
    for (const [options, code] of [
      [{ extendedKeyUsages: [] }, 'ek-certificate-purpose'],
      [{ ca: true }, 'ek-certificate-is-ca'],
      [{ notBefore: new Date('2030-01-01T00:00:00Z') }, 'ek-certificate-not-yet-valid'],
    ] as const) {
      const other = await issueEk(ek.publicKey, intermediate, options as CertificateOptions);
      expect(codeOf(() => verifyLone(other))).toBe(code);
    }
  });

  it('E7 of a key that can be factored is refused', async () => {
    const { publicKey } = await createEk();
    const spki = Buffer.from(await webcrypto.subtle.exportKey('spki', publicKey));
    const altered = Buffer.from(await issueEk(publicKey, intermediate));
    const { n = '' } = createPublicKey({ key: spki, format: 'der', type: 'spki' }).export({ format: 'jwk' });
    altered.set(fromHex(REAL_MODULUS), altered.indexOf(Buffer.from(n, 'base64url')));
    expect(codeOf(() => verifyLone(altered))).toBe('key-roca');
  });
});

describe('trust anchors', () => {
  it('are read from DER, from PEM, and from a bundle with text in between', () => {
    const pem = ({ certificate: der }: Authority) =>
      `subject\n-----BEGIN CERTIFICATE-----\n${Buffer.from(der).toString('base64')}\n-----END CERTIFICATE-----\n`;
    const bundle = parseTrustAnchors(asciiBytes(pem(root) + pem(intermediate) + pem(root)));
    expect([bundle.roots.length, bundle.intermediates.length]).toEqual([1, 1]);
    expect(verify({ anchors: bundle }).chainSubjects).toHaveLength(3);
  });

  it.each([
    '',
    'no certificate',
    '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
    '-----BEGIN X-----',
  ])('are an error when they cannot be read: %j', (text) => {
    expect(codeOf(() => parseTrustAnchors(asciiBytes(text)))).toBe('trust-anchors-invalid');
  });

  it('are CA certificates', () => {
    expect(codeOf(() => parseTrustAnchors(certificate))).toBe('trust-anchors-invalid');
  });

  const BUNDLES = `${CORPORA}/loicsikidi/tpm-ca-certificates`;
  it.skipIf(!existsSync(BUNDLES))('of all known manufacturers are read, each certificate', () => {
    const read = (name: string) => parseTrustAnchors(readFileSync(join(BUNDLES, name)));
    const roots = read('MIRROR.tpm-ca-certificates.pem');
    const others = read('MIRROR.tpm-intermediate-ca-certificates.pem');
    expect(roots.roots.length + roots.intermediates.length).toBe(26);
    expect(others.roots.length + others.intermediates.length).toBe(143);
  });
});
