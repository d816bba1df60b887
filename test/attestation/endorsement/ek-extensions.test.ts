import { generateKeyPairSync, webcrypto } from 'node:crypto';
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyEkCertificate } from '../../../src/attestation/endorsement/ek-certificate.ts';
import { findPath } from '../../../src/attestation/endorsement/ek-path.ts';
import { strongHashOf, verifyIssuerKey } from '../../../src/attestation/endorsement/ek-signature-strength.ts';
import { parseTrustAnchors } from '../../../src/attestation/endorsement/trust-anchors.ts';
import { verifyEkPublic } from '../../../src/attestation/keys/ek-public.ts';
import { parseCertificate } from '../../../src/attestation/x509/x509.ts';
import { childrenOf, expectTag, sequenceOf, TAG } from '../../../src/attestation/x509/x509-der.ts';
import { concatBytes, fromBase64Url, fromHex } from '../../../src/core/bytes.ts';
import {
  type Authority,
  type CertificateOptions,
  createAuthority,
  issueEk,
  KeyUsageFlags,
  rawExtension,
} from '../../../src/fleet-sim/chip/manufacturer.ts';
import { SHA256 } from '../../../src/fleet-sim/chip/software-ak.ts';
import { ALG, curveById } from '../../../src/tpm/algorithms.ts';
import { attributesOf } from '../../../src/tpm/object-attributes.ts';
import { encodeTpmtPublic, parseTpmtPublic, type TpmPublic } from '../../../src/tpm/public-area.ts';
import { createEk, NOW_MS } from './certificate-maker.ts';

const BASIC_CONSTRAINTS = '2.5.29.19';
let root: Authority;
let ek: Awaited<ReturnType<typeof createEk>>;

beforeAll(async () => {
  root = await createAuthority('Root');
  ek = await createEk();
});

const codeOf = (action: () => unknown): string => {
  try {
    action();
    return 'accepted';
  } catch (cause) {
    return (cause as { code?: string }).code ?? String(cause);
  }
};
const faultOf = (action: () => unknown): string => {
  try {
    action();
    return 'accepted';
  } catch (cause) {
    return (cause as Error).message;
  }
};
const leafWith = (options: CertificateOptions) => issueEk(ek.publicKey, root, options);
/** Any length up to 64 KiB. */
const sequence = (...parts: Uint8Array[]): Uint8Array => {
  const content = concatBytes(...parts);
  return concatBytes(Uint8Array.of(TAG.sequence, 0x82, content.length >> 8, content.length & 0xff), content);
};
const hex = (oid: string, value: string) => rawExtension(oid, true, Uint8Array.from(fromHex(value)));

describe('extensions', () => {
  it.each<[string, string, { ca: boolean; pathLength?: number }]>([
    ['nothing', '3000', { ca: false }],
    ['FALSE spelled out', '3003010100', { ca: false }],
    ['a path length alone', '3003020103', { ca: false, pathLength: 3 }],
    ['a CA with a path length', '30060101ff020100', { ca: true, pathLength: 0 }],
  ])('basic constraints are read: %s', async (_name, value, expected) => {
    const leaf = await leafWith({ ca: null, extra: [hex(BASIC_CONSTRAINTS, value)] });
    expect(parseCertificate(leaf).basicConstraints).toEqual(expected);
  });

  it.each<[string, string, string]>([
    ['basic constraints with more', BASIC_CONSTRAINTS, '3006020100020100'],
    ['a negative path length', BASIC_CONSTRAINTS, '30060101ff0201ff'],
    ['a boolean that is 1', BASIC_CONSTRAINTS, '3003010101'],
  ])('E12 that are not DER are refused: %s', async (_name, oid, value) => {
    const leaf = await leafWith({ ca: null, extra: [hex(oid, value)] });
    const anchors = parseTrustAnchors(root.certificate);
    expect(codeOf(() => verifyEkCertificate({ certificate: leaf, ...ek, anchors, nowMs: NOW_MS }))).toMatch(
      /^ek-certificate-malformed$/,
    );
  });

  it('are for version 3, and nothing stands behind a certificate', async () => {
    const leaf = await leafWith({});
    const older = Buffer.from(leaf);
    older[older.indexOf(fromHex('a003020102')) + 4] = 1;
    expect(codeOf(() => parseCertificate(older))).toBe('der-invalid');
    expect(codeOf(() => parseCertificate(concatBytes(leaf, Uint8Array.of(0))))).not.toBe('accepted');
  });

  it('are not there in version 1', async () => {
    const [tbs, ...signature] = sequenceOf(await leafWith({}));
    const fields = childrenOf(expectTag(tbs, TAG.sequence)).map(({ whole }) => whole);
    const remade = (kept: Uint8Array[]) =>
      sequence(sequence(...kept), ...signature.map(({ whole }) => whole));
    expect(parseCertificate(remade(fields.slice(1, -1))).extensions).toEqual([]);
    expect(codeOf(() => parseCertificate(remade(fields.slice(1))))).toBe('der-invalid');
  });

  it('name a TPM in directory names only', async () => {
    const subjectAltName = hex('2.5.29.17', '3006820474657374');
    const leaf = await leafWith({ directoryName: null, extra: [subjectAltName] });
    const anchors = parseTrustAnchors(root.certificate);
    const { notes } = verifyEkCertificate({ certificate: leaf, ...ek, anchors, nowMs: NOW_MS });
    expect(notes.map(({ code }) => code)).toContain('ek-certificate-no-tpm-model');
  });

  it('with name constraints are of CAs, not of EK certificates', async () => {
    const constraints = hex('2.5.29.30', '300aa0083006820474657374');
    const leaf = await leafWith({ extra: [constraints] });
    const anchors = parseTrustAnchors(root.certificate);
    expect(codeOf(() => verifyEkCertificate({ certificate: leaf, ...ek, anchors, nowMs: NOW_MS }))).toBe(
      'ek-certificate-extension',
    );
  });
});

describe('an issuer', () => {
  it('E8 has a strong key', () => {
    const rsa = (modulusLength: number, publicExponent: number) =>
      generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey;
    const ec = (namedCurve: string) => generateKeyPairSync('ec', { namedCurve }).publicKey;
    const strong = [rsa(2048, 65537), ec('P-256'), ec('P-384'), ec('P-521')];
    const weak = [rsa(1024, 65537), rsa(2048, 3), ec('secp256k1'), generateKeyPairSync('ed25519').publicKey];
    for (const key of strong) expect(codeOf(() => verifyIssuerKey('CA', key))).toBe('accepted');
    for (const key of weak)
      expect(codeOf(() => verifyIssuerKey('CA', key))).toBe('ek-certificate-signature-weak');
  });

  it('signs with a strong hash', () => {
    expect(strongHashOf('CA', '1.2.840.10045.4.3.3')).toBe('sha384');
    for (const oid of [undefined, '1.2.840.113549.1.1.5', '1.2.840.113549.1.1.4', 'constructor'])
      expect(codeOf(() => strongHashOf('CA', oid))).toBe('ek-certificate-signature-weak');
  });

  it('has a name', async () => {
    const [ca] = parseTrustAnchors(root.certificate).roots;
    const leaf = parseCertificate(await leafWith({}));
    const nothing = { attributes: [], canonical: [] };
    const anchors = { roots: ca === undefined ? [] : [{ ...ca, subjectName: nothing }], intermediates: [] };
    expect(
      faultOf(() =>
        findPath(
          { ...leaf, issuerName: nothing },
          { anchors: { ...anchors, revocationLists: [] }, nowMs: NOW_MS },
        ),
      ),
    ).toContain('a CA without a name');
  });

  it('with a key that OpenSSL does not take is refused, not a fault; any other error stays one', async () => {
    const leaf = parseCertificate(await leafWith({}));
    const [ca] = parseTrustAnchors(root.certificate).roots;
    if (ca === undefined) throw new Error('no root');
    const unusableKey = {
      get: () => {
        throw new Error('unsupported');
      },
    };
    const unusable = { ...ca, node: Object.create(ca.node, { publicKey: unusableKey }) as typeof ca.node };
    const anchors = { roots: [unusable], intermediates: [], revocationLists: [] };
    expect(codeOf(() => findPath(leaf, { anchors, nowMs: NOW_MS }))).toBe('ek-certificate-signature-weak');
    const fail = () => {
      throw new Error('a fault');
    };
    const node = { verify: fail, signatureAlgorithmOid: leaf.node.signatureAlgorithmOid };
    const faulty = { ...leaf, node: node as unknown as typeof leaf.node };
    const good = { roots: [ca], intermediates: [], revocationLists: [] };
    expect(() => findPath(faulty, { anchors: good, nowMs: NOW_MS })).toThrow('a fault');
  });
});

describe('an ECC EK', () => {
  const EK_ATTRIBUTES = attributesOf(
    'fixedTPM',
    'fixedParent',
    'sensitiveDataOrigin',
    'restricted',
    'decrypt',
  );
  const curve = curveById(0x0003);

  async function createEccEk(): Promise<{ publicKey: webcrypto.CryptoKey; ekPublic: TpmPublic }> {
    const { publicKey } = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, [
      'sign',
      'verify',
    ]);
    const { x = '', y = '' } = await webcrypto.subtle.exportKey('jwk', publicKey);
    if (curve === undefined) throw new Error('no such curve');
    const ekPublic = parseTpmtPublic(
      encodeTpmtPublic({
        type: 'ecc',
        nameAlg: SHA256,
        attributes: EK_ATTRIBUTES,
        authPolicy: new Uint8Array(32),
        symmetric: { keyBits: 128, mode: ALG.CFB },
        scheme: { id: ALG.NULL },
        curve,
        x: fromBase64Url(x),
        y: fromBase64Url(y),
      }),
    );
    return { publicKey, ekPublic };
  }

  it('is for key agreement', async () => {
    const { publicKey, ekPublic } = await createEccEk();
    const codeFor = async (keyUsage: number) => {
      const certificate = await issueEk(publicKey, root, { keyUsage });
      const anchors = parseTrustAnchors(root.certificate);
      return codeOf(() => verifyEkCertificate({ certificate, ekPublic, anchors, nowMs: NOW_MS }));
    };
    expect(await codeFor(KeyUsageFlags.keyAgreement)).toBe('accepted');
    expect(await codeFor(KeyUsageFlags.keyEncipherment)).toBe('ek-certificate-key-usage');
  });

  it('is a point of its curve', async () => {
    const { ekPublic } = await createEccEk();
    expect(codeOf(() => verifyEkPublic(ekPublic))).toBe('accepted');
    expect(codeOf(() => verifyEkPublic({ ...ekPublic, x: new Uint8Array(32).fill(1) } as TpmPublic))).toBe(
      'ek-key-unsuitable',
    );
  });

  it('is not named by SHA-1', async () => {
    const { ekPublic } = await createEccEk();
    const nameAlg = { ...ekPublic.nameAlg, id: ALG.SHA1 };
    expect(codeOf(() => verifyEkPublic({ ...ekPublic, nameAlg } as TpmPublic))).toBe('ek-key-weak');
  });
});
